/** Names for new rooms that can be said on the phone and not be guessed by passers-by. */

const FIRST = [
  "amber",
  "brisk",
  "calm",
  "clear",
  "early",
  "gentle",
  "golden",
  "lucky",
  "merry",
  "quiet",
  "silver",
  "tidy",
];
const SECOND = [
  "anchor",
  "bridge",
  "canyon",
  "garden",
  "harbor",
  "island",
  "lantern",
  "meadow",
  "orchard",
  "river",
  "summit",
  "tower",
];

export function suggestRoom(): string {
  const [first, second, ...rest] = crypto.getRandomValues(new Uint32Array(6));
  const tail = rest.map((number) => (number % 32).toString(32)).join("");
  return `${FIRST[(first ?? 0) % FIRST.length]}-${SECOND[(second ?? 0) % SECOND.length]}-${tail}`;
}
