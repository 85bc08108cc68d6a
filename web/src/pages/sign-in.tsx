import { useState } from "preact/hooks";
import { refusal, signIn } from "../session";
import { Field } from "../ui";

export function SignInPage() {
  const [given, setGiven] = useState("");
  return (
    <main class="sign-in">
      <h1>Townclerk</h1>
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
        <button type="submit" class="main">
          Sign in
        </button>
      </form>
    </main>
  );
}
