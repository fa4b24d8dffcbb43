/** Which screen the address names. The address holds what is searched for, too: it can be sent to a colleague. */

import { batch, computed, signal } from "@preact/signals";
import { app, bound, choose } from "./session";

const BASE = "/console";

export const SCREENS = ["overview", "connections", "rooms", "calls", "messages", "charts"] as const;
export type Screen = (typeof SCREENS)[number];

/** A screen, and the one thing that it shows if the address names one. */
export interface Place {
  readonly screen: Screen | undefined;
  readonly id: string | undefined;
}

const url = signal(new URL(location.href));

export const place = computed<Place>(() => placeOf(url.value.pathname));

/** What the address says of the screen, besides the app. */
export const parameters = computed(() => url.value.searchParams);

export function start(): void {
  addEventListener("popstate", read);
  document.addEventListener("click", follow);
}

/** Return the address of a screen, or of one thing on it. */
export function href(screen: Screen, id?: string, query: Readonly<Record<string, string>> = {}): string {
  const path =
    screen === "overview"
      ? BASE
      : [BASE, screen, ...(id === undefined ? [] : [encodeURIComponent(id)])].join("/");
  const named = bound.value || app.value === "default" ? {} : { app: app.value };
  const search = new URLSearchParams({ ...named, ...query }).toString();
  return search ? `${path}?${search}` : path;
}

export function go(to: string): void {
  history.pushState(null, "", to);
  read();
  scrollTo(0, 0);
}

/** Say in the address what is searched for; going back does not go through each letter of it. */
export function remember(name: string, value: string): void {
  const next = new URL(location.href);
  if (value) next.searchParams.set(name, value);
  else next.searchParams.delete(name);
  history.replaceState(history.state, "", next);
  read();
}

function read(): void {
  const there = new URL(location.href);
  batch(() => {
    url.value = there;
    choose(there.searchParams.get("app") ?? "");
  });
}

function placeOf(path: string): Place {
  const [, , screen = "overview", id] = path.split("/");
  const known = SCREENS.find((name) => name === (screen || "overview"));
  return { screen: known, id: id ? decoded(id) : undefined };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Links of the console change the screen, and load nothing. Whoever wants another tab gets one. */
function follow(event: MouseEvent): void {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.origin !== location.origin) return;
  if (link.pathname !== BASE && !link.pathname.startsWith(`${BASE}/`)) return;
  event.preventDefault();
  go(link.href);
}
