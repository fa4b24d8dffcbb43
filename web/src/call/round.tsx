/** A round button with a picture; its name is for ears, for whoever points at it, and for tests. */

import type { ComponentChildren } from "preact";

interface Props {
  readonly name: string;
  readonly shortcut?: string;
  readonly off?: boolean;
  readonly kind?: "leave" | "active" | "small";
  readonly expanded?: boolean;
  readonly badge?: number;
  readonly press: () => void;
  readonly children: ComponentChildren;
}

export function Round({ name, shortcut, off = false, kind, expanded, badge = 0, press, children }: Props) {
  return (
    <button
      type="button"
      class={`round${off ? " round-off" : ""}${kind ? ` round-${kind}` : ""}`}
      aria-label={badge > 0 ? `${name}, ${badge} unread` : name}
      aria-expanded={expanded}
      title={shortcut ? `${name} (${shortcut})` : name}
      onClick={press}
    >
      {children}
      {badge > 0 && (
        <span class="badge" aria-hidden="true">
          {badge > 99 ? "99+" : badge}
        </span>
      )}
    </button>
  );
}
