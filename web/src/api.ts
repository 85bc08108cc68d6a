/** The API as the pages ask it: one function for queries and changes, one for feeds. */
import { createClient, NetworkError } from "graphql-sse";
import type { ResultOf, TypedDocumentString, VariablesOf } from "./documents";
import { token, turnedAway } from "./session";

/** Why there is no answer: a stable code, and one sentence for people that says what to do. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface UserError {
  code: string;
  message: string;
  path: string[];
}

interface GraphQLAnswer {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
}

const UNREACHABLE = new Failure("UNREACHABLE", "The server can't be reached. What you see may be out of date.");

const UNANSWERED = new Failure("UNREACHABLE", "The server did not answer. Send it again: it takes effect once.");

export function headers(): Record<string, string> {
  return token.value ? { Authorization: `Bearer ${token.value}` } : {};
}

/** What `document` asks for. Throws `Failure`; whoever is not let in (any more) is sent to sign in. */
export async function ask<D extends TypedDocumentString<any, any>>(
  document: D,
  variables: VariablesOf<D>,
  signal?: AbortSignal,
): Promise<ResultOf<D>> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers() },
    body: JSON.stringify({ query: document.toString(), variables }),
    signal: signal ?? null,
  }).catch((error: unknown) => {
    throw signal?.aborted ? error : UNREACHABLE;
  });
  const answer = (await response.json().catch(() => {
    throw UNREACHABLE;
  })) as GraphQLAnswer;
  const error = answer.errors?.[0];
  if (error) {
    const failure = new Failure(error.extensions?.code ?? "UNKNOWN", error.message);
    if (response.status === 401) turnedAway(failure);
    throw failure;
  }
  return answer.data as ResultOf<D>;
}

/** Like `ask`, for a change with an idempotency key: after a lost answer it can be sent again as it is. */
export async function change<D extends TypedDocumentString<any, any>>(
  document: D,
  variables: VariablesOf<D>,
): Promise<ResultOf<D>> {
  return ask(document, variables).catch((failure: unknown) => {
    throw failure === UNREACHABLE ? UNANSWERED : failure;
  });
}

const FIRST_PAUSE = 1_000; // milliseconds until a lost feed is asked for again, twice as long each time in vain
const LAST_PAUSE = 8_000;

/** Be told of each event of a feed until the function given back is called; goes on by itself after a lost connection. */
export function follow<D extends TypedDocumentString<any, any>>(
  document: D,
  variables: VariablesOf<D>,
  told: (event: ResultOf<D>) => void,
  connected: (now: boolean) => void,
): () => void {
  const client = createClient({ url: "/graphql", headers: () => headers(), retryAttempts: 0 }); // `again` says so first
  let left = false;
  let end: (() => void) | undefined;
  let pause = FIRST_PAUSE;
  const again = (): void => {
    connected(false);
    if (!left) setTimeout(begin, pause);
    pause = Math.min(2 * pause, LAST_PAUSE);
  };
  const turnedOut = (): void => {
    left = true; // to knock again and again with a token that is worth nothing keeps everyone of this address out
    turnedAway(new Failure("UNAUTHENTICATED", "Your token is not taken any more: sign in again."));
  };
  const begin = (): void => {
    if (left) return;
    end = client.subscribe<ResultOf<D>>(
      { query: document.toString(), variables: variables as Record<string, unknown> },
      {
        next: (answer) => {
          const refused = answer.errors?.[0]?.extensions as { code?: string } | undefined;
          if (refused?.code === "UNAUTHENTICATED") return turnedOut();
          connected(!answer.errors);
          pause = FIRST_PAUSE;
          if (answer.data) told(answer.data);
        },
        error: (error) => {
          const status = error instanceof NetworkError ? (error.response as Response | undefined)?.status : undefined;
          if (status === 401) turnedOut();
          else again();
        },
        complete: again,
      },
      {
        connected: () => {
          pause = FIRST_PAUSE;
          connected(true);
        },
      },
    );
  };
  begin();
  return () => {
    left = true;
    end?.();
    client.dispose();
  };
}

/** A key that no other change has, so that one that is sent twice takes effect once. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
