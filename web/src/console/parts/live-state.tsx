/** Whether what is seen is what happens, or why not. */

import type { Signal } from "@preact/signals";
import type { LiveState as State } from "../live";

const WORDS = { connecting: "Connecting", live: "Live" } as const;

export function LiveState({ of }: { of: Signal<State> }) {
  const state = of.value;
  return (
    <p class={`live live-${state.at}`} role="status">
      <span class="live-dot" aria-hidden="true" />
      {"message" in state ? `Not live: ${state.message}` : WORDS[state.at]}
    </p>
  );
}
