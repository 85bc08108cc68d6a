import { useEffect, useState } from "preact/hooks";
import { type Issuer, leaveToSignIn, terms } from "../elsewhere";
import { refusal, signIn } from "../session";
import { Field } from "../ui";

export function SignInPage() {
  const [given, setGiven] = useState("");
  const [elsewhere, setElsewhere] = useState<Issuer | null>(null);
  useEffect(() => {
    void terms().then((told) => setElsewhere(told?.oidc ?? null));
  }, []);
  const leave = (at: Issuer): void => {
    leaveToSignIn(at).catch(() => {
      refusal.value = "The issuer can't be reached: try again later, or paste a token.";
    });
  };
  return (
    <main class="sign-in">
      <h1>Townclerk</h1>
      {elsewhere && (
        <p>
          <button type="button" class="main" onClick={() => leave(elsewhere)}>
            Sign in with {new URL(elsewhere.issuer).host}
          </button>
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn(given);
        }}
      >
        <Field label="API token">
          {(id) => (
            <input
              id={id}
              type="password"
              autocomplete="off"
              spellcheck={false}
              required
              pattern=".*\S.*"
              value={given}
              onInput={(event) => setGiven(event.currentTarget.value)}
            />
          )}
        </Field>
        <p class="hint">
          It is kept for this tab. Whoever runs Townclerk makes one with <code>townclerk token create</code>.
        </p>
        {refusal.value && (
          <p class="notice bad" role="alert">
            {refusal.value}
          </p>
        )}
        <button type="submit" class={elsewhere ? "" : "main"}>
          Sign in
        </button>
      </form>
    </main>
  );
}
