/** How good the connection to somebody is: a word, bars, and the figures for who wants them. */

import type { Quality, Score } from "parley-client";
import { Bars } from "../shared/icons";

const WORDS = { good: "Good", fair: "Fair", poor: "Poor" } as const;
const FULL = { good: 3, fair: 2, poor: 1 } as const;

export function QualityChip({ quality }: { quality: Quality }) {
  const { score } = quality;
  return (
    <span class={`quality quality-${score}`} title={figures(quality)}>
      <Bars full={FULL[score]} />
      <span class="quality-word">
        {WORDS[score]}
        <span class="unseen"> connection</span>
      </span>
    </span>
  );
}

/** Return what is measured, as far as it is known. */
export function figures({ roundTripMs, loss, remoteCandidate, localCandidate }: Quality): string {
  const relayed = [localCandidate, remoteCandidate].includes("relay");
  return [
    typeof roundTripMs === "number" && `${Math.round(roundTripMs)} ms there and back`,
    `${(loss * 100).toFixed(1)} % lost`,
    localCandidate && (relayed ? "through a relay" : "direct"),
  ]
    .filter(Boolean)
    .join(", ");
}

export function qualityWord(score: Score): string {
  return WORDS[score];
}
