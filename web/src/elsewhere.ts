/** Signing in elsewhere: OpenID Connect's authorization code flow with PKCE, where the server names an issuer. */
import * as oauth from "oauth4webapi";
import { Failure } from "./api";
import { signIn } from "./session";

/** What the server says of it: `token` is which of the issuer's tokens it takes. */
export interface Issuer {
  issuer: string;
  clientId: string;
  scope: string;
  token: "access_token" | "id_token";
}

interface Begun {
  state: string;
  nonce: string;
  verifier: string;
  path: string;
}

const BEGUN = "townclerk.sign-in";
const redirect = (): string => `${location.origin}/`;

/** How one gets in: `open` is whether nobody has to sign in, `oidc` with whom one can. */
interface Terms {
  open: boolean;
  oidc: Issuer | null;
}

/** Null where the server does not say. */
export async function terms(): Promise<Terms | null> {
  const answer = await fetch("/sign-in").catch(() => null);
  return answer?.ok ? ((await answer.json()) as Terms) : null;
}

export async function leaveToSignIn(at: Issuer): Promise<void> {
  const found = await discovered(at);
  const begun: Begun = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    path: location.pathname,
  };
  sessionStorage.setItem(BEGUN, JSON.stringify(begun));
  const url = new URL(found.authorization_endpoint!);
  url.search = new URLSearchParams({
    client_id: at.clientId,
    redirect_uri: redirect(),
    response_type: "code",
    scope: at.scope,
    state: begun.state,
    nonce: begun.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(begun.verifier),
    code_challenge_method: "S256",
  }).toString();
  location.assign(url);
}

/** Finish what `leaveToSignIn` began, where the issuer has sent the browser back. Throws `Failure`. */
export async function comeBack(): Promise<void> {
  const kept = sessionStorage.getItem(BEGUN);
  const here = new URL(location.href);
  if (!kept || !here.searchParams.has("state")) return;
  sessionStorage.removeItem(BEGUN);
  const begun = JSON.parse(kept) as Begun;
  history.replaceState(null, "", begun.path);
  try {
    const at = (await terms())?.oidc;
    if (!at) throw new Error("the server names no issuer");
    const found = await discovered(at);
    const client: oauth.Client = { client_id: at.clientId };
    const given = oauth.validateAuthResponse(found, client, here, begun.state);
    const response = await oauth.authorizationCodeGrantRequest(
      found,
      client,
      oauth.None(),
      given,
      redirect(),
      begun.verifier,
      { [oauth.allowInsecureRequests]: isLocal(at.issuer) },
    );
    const answer = await oauth.processAuthorizationCodeResponse(found, client, response, { expectedNonce: begun.nonce });
    const token = answer[at.token];
    if (typeof token !== "string") throw new Error("the issuer gave no such token");
    signIn(token);
  } catch (error) {
    throw new Failure("SIGN_IN", `Signing in did not work: ${(error as Error).message}. Try again.`);
  }
}

async function discovered(at: Issuer): Promise<oauth.AuthorizationServer> {
  const url = new URL(at.issuer);
  const response = await oauth.discoveryRequest(url, { [oauth.allowInsecureRequests]: isLocal(at.issuer) });
  return oauth.processDiscoveryResponse(url, response);
}

function isLocal(url: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
}
