/** What the page's address says: which room, in which app, by which token. */

export interface Address {
  /** The front door. */
  readonly server: string;
  readonly room: string;
  readonly app: string | undefined;
  /** In the part behind `#`, which reaches no server and no log. */
  readonly token: string | undefined;
}

export function address(location: Location = window.location): Address {
  const query = new URLSearchParams(location.search);
  const fragment = new URLSearchParams(location.hash.slice(1));
  return {
    server: import.meta.env.DEV ? `${location.origin}/socket` : location.origin,
    room: query.get("room")?.trim() ?? "",
    app: query.get("app") ?? undefined,
    token: fragment.get("token") ?? undefined,
  };
}

/** Return the link that invites others into a room. It holds no token: that is one's own. */
export function invitation(room: string, location: Location = window.location): string {
  const url = new URL(location.href);
  url.searchParams.set("room", room);
  url.hash = "";
  return url.href;
}

/** Let the address name the room, so that a reload comes back to it. */
export function nameRoom(room: string): void {
  const url = new URL(window.location.href);
  url.searchParams.set("room", room);
  window.history.replaceState(null, "", url);
}
