/** A modal dialog: the browser keeps the focus inside and gives it back; Escape closes it. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Close } from "./icons";

interface Props {
  readonly title: string;
  readonly close: () => void;
  /** What the button in the corner does, in a word or two; without it there is none, and Escape is left. */
  readonly closeLabel?: string;
  readonly children: ComponentChildren;
}

export function Dialog({ title, close, closeLabel, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();

  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close(); // while it still stands in the page, so that the focus goes back
  }, []);

  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <div class="dialog-head">
        <h2 id={id}>{title}</h2>
        {closeLabel && (
          <button type="button" class="quiet" aria-label={closeLabel} title={closeLabel} onClick={close}>
            <Close />
          </button>
        )}
      </div>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}
