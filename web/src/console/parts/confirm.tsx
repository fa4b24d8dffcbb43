/** Asks before something is done that can't be taken back. */

import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { Trouble } from "./words";

interface ConfirmProps {
  /** What the button says that asks. */
  readonly button: string;
  readonly question: string;
  readonly children: ComponentChildren;
  /** What the button says that does it. */
  readonly yes: string;
  readonly act: () => Promise<void>;
}

export function Confirm({ button, question, children, yes, act }: ConfirmProps) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, say] = useState<Problem | undefined>();
  const [busy, work] = useState(false);

  const agree = async () => {
    work(true);
    try {
      await act();
      dialog.current?.close();
    } catch (error) {
      say(error instanceof Problem ? error : new Problem(0, "failed", String(error)));
    } finally {
      work(false);
    }
  };

  return (
    <>
      <button
        type="button"
        class="button button-danger"
        onClick={() => {
          say(undefined);
          dialog.current?.showModal();
        }}
      >
        {button}
      </button>
      <dialog ref={dialog} class="confirm" aria-labelledby={id}>
        <h2 id={id}>{question}</h2>
        {children}
        <Trouble problem={problem} />
        <div class="confirm-buttons">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" class="button button-danger" disabled={busy} onClick={() => void agree()}>
            {yes}
          </button>
        </div>
      </dialog>
    </>
  );
}
