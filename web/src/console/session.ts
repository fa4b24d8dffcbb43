/** Who is asking, and about which app. The token stays in this tab: it is the key to everybody's conversations. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

const KEY = "parley.console.token";

const token = signal(sessionStorage.getItem(KEY) ?? "");

const refused = signal<Refusal | undefined>(undefined);

/** What the server has against whoever asks; the page asks for a token then. */
export const refusal: ReadonlySignal<Refusal | undefined> = refused;

const chosen = signal(new URLSearchParams(location.search).get("app") ?? "");

const claims = computed(() => (token.value ? claimsOf(token.value) : undefined));

/** Whether a token says which app it is, and not the address. */
export const bound = computed(() => token.value !== "");

export const app = computed(() => {
  if (!bound.value) return chosen.value || "default";
  const named = claims.value?.app;
  return typeof named === "string" ? named : "default";
});

/** The user whom the token names. */
export const user = computed(() => {
  const named = claims.value?.sub;
  return typeof named === "string" ? named : undefined;
});

export function choose(name: string): void {
  chosen.value = name;
}

export function signIn(given: string): void {
  sessionStorage.setItem(KEY, given);
  token.value = given;
  refused.value = undefined;
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  token.value = "";
  refused.value = undefined;
}

/** Who asks at this moment. */
export const asker = (): string => token.peek();

/** Take note of a refusal. One that comes late, to the token before, says nothing of the one that is used now. */
export function refuse(asked: string, why: Refusal): void {
  if (asked === token.peek()) refused.value ??= why;
}

/** What each request says of us. */
export function headers(): Record<string, string> {
  return token.value ? { Authorization: `Bearer ${token.value}` } : {};
}

/** What each query says of the app: with a token nothing, as the token does. */
export function appQuery(): Record<string, string> {
  return bound.value ? {} : { app: app.value };
}

/** Take a token out of the address, so that it is in no history and no screenshot. */
export function takeTokenOfAddress(): void {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  signIn(given);
}

/** What a token says, unchecked: for show. The server is who checks. */
function claimsOf(jwt: string): Record<string, unknown> | undefined {
  try {
    const [, payload = ""] = jwt.split(".");
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (char) =>
      char.charCodeAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
