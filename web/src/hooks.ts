/** What pages read, as it is now. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ask, type Failure, follow } from "./api";
import type { ResultOf, TypedDocumentString, VariablesOf } from "./documents";

const RETRY = 2_000; // milliseconds until a server that could not be reached is asked again

export interface Asked<R> {
  data: R | undefined;
  failure: Failure | undefined;
  busy: boolean;
  again: () => void;
}

/**
 * The answer to `document`, asked anew when `variables` change; the last answer stays until there is another. Nothing is
 * asked where `variables` are null. `wait` is in milliseconds: what is typed is not asked for letter by letter.
 */
export function useAnswer<D extends TypedDocumentString<any, any>>(
  document: D,
  variables: VariablesOf<D> | null,
  { wait = 0, every = 0 }: { wait?: number; every?: number } = {},
): Asked<ResultOf<D>> {
  const [state, setState] = useState<Omit<Asked<ResultOf<D>>, "again">>({
    data: undefined,
    failure: undefined,
    busy: variables !== null,
  });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((now) => now + 1), []);
  const wanted = JSON.stringify(variables);
  useEffect(() => {
    if (variables === null) {
      setState({ data: undefined, failure: undefined, busy: false });
      return;
    }
    const asking = new AbortController();
    setState((now) => ({ ...now, busy: true }));
    const timer = setTimeout(() => {
      ask(document, variables, asking.signal).then(
        (data) => setState({ data, failure: undefined, busy: false }),
        (failure: Failure) => {
          if (!asking.signal.aborted) setState((now) => ({ ...now, failure, busy: false }));
        },
      );
    }, wait);
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [document, wanted, round]);
  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => {
      if (window.document.visibilityState === "visible") again();
    }, every);
    return () => clearInterval(timer);
  }, [every]);
  useEffect(() => {
    if (state.failure?.code !== "UNREACHABLE") return;
    const timer = setTimeout(again, RETRY);
    return () => clearTimeout(timer);
  }, [state]);
  useEffect(() => {
    addEventListener("online", again);
    return () => removeEventListener("online", again);
  }, []);
  return { ...state, again };
}

/** State that outlives a reload, under a name of its own. */
export function useKept<T>(name: string, initial: T): [T, (value: T) => void] {
  const place = `townclerk.${name}`;
  const [value, setValue] = useState<T>(() => {
    const kept = localStorage.getItem(place);
    return kept === null ? initial : (JSON.parse(kept) as T);
  });
  const keep = (next: T): void => {
    if (next === initial) localStorage.removeItem(place);
    else localStorage.setItem(place, JSON.stringify(next));
    setValue(next);
  };
  return [value, keep];
}

/** Be told of a feed's events as long as the page is shown; gives whether it is connected, undefined before it ever was. */
export function useFeed<D extends TypedDocumentString<any, any>>(
  document: D,
  variables: VariablesOf<D>,
  told: (event: ResultOf<D>) => void,
): boolean | undefined {
  const [connected, setConnected] = useState<boolean>();
  const latest = useRef(told);
  latest.current = told;
  useEffect(
    () => follow(document, variables, (event) => latest.current(event), setConnected),
    [document, JSON.stringify(variables)],
  );
  return connected;
}
