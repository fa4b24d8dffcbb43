/** Asks for a token where the server wants one, and says what was wrong with the last. */

import { useState } from "preact/hooks";
import { Logo } from "../shared/icons";
import { type Refusal, signIn } from "./session";

export function SignIn({ refusal: { code, message } }: { refusal: Refusal }) {
  const [token, write] = useState("");
  return (
    <main class="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim()) signIn(token.trim());
        }}
      >
        <p class="brand">
          <Logo /> Parley console
        </p>
        <h1 tabIndex={-1}>
          {code === "token_expired" ? "Your token has expired" : "This server wants a token"}
        </h1>
        <p class="hint">{message}</p>
        <label>
          <span>A token that grants admin</span>
          <input
            type="password"
            name="token"
            value={token}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </label>
        <p class="hint">
          On the server, <code>parley token --admin</code> makes one. It is kept in this tab alone, until the
          tab is closed.
        </p>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
    </main>
  );
}
