/** What this client has posted in a room, and how far it got. */

import type { Posted } from "./frames.js";

/** One's own chat: on its way, durable, or given up. A new object whenever that changes. */
export interface Post {
  /** The same as of the chat frame that everybody gets. */
  readonly id: string;
  readonly text: string;
  /** As it was given to `chat`; absent if it was not. */
  readonly data?: unknown;
  /** `sent` once it is durable and has its place; `failed` when `chat` has rejected. */
  readonly state: "sending" | "sent" | "failed";
  /** Of a sent one: where in the room's stream it stands. */
  readonly position?: number;
  /** Of a sent one: when it was posted by the server's clock, in RFC 3339. */
  readonly time?: string;
  /** Of a failed one: why. Posting it again under the same `id` is safe while the room still holds it. */
  readonly error?: Error;
}

/** How many are remembered that are no longer on their way. */
const KEPT = 1000;

export class Posts {
  readonly #posts = new Map<string, Post>();
  readonly #changed: (post: Post) => void;

  constructor(changed: (post: Post) => void) {
    this.#changed = changed;
  }

  /** By id, in the order they were begun. */
  get all(): ReadonlyMap<string, Post> {
    return this.#posts;
  }

  sending(id: string, text: string, data: unknown): void {
    this.#posts.delete(id); // posted again it is the latest
    this.#set({ id, text, ...(data === undefined ? {} : { data }), state: "sending" });
    this.#forget();
  }

  sent(id: string, { position, time }: Pick<Posted, "position" | "time">): void {
    const post = this.#posts.get(id);
    if (post?.state !== "sending") return;
    this.#set({ ...post, state: "sent", position, time });
  }

  failed(id: string, error: unknown): void {
    const post = this.#posts.get(id);
    if (post?.state !== "sending") return;
    this.#set({ ...post, state: "failed", error: error instanceof Error ? error : new Error(String(error)) });
  }

  #set(post: Post): void {
    this.#posts.set(post.id, post);
    this.#changed(post);
  }

  #forget(): void {
    for (const { id, state } of this.#posts.values()) {
      if (this.#posts.size <= KEPT) return;
      if (state !== "sending") this.#posts.delete(id);
    }
  }
}
