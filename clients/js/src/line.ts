/**
 * One WebSocket from dialling to its end.
 *
 * Each thing is reported once, and nothing after the end. The end is reported when the
 * socket closes or when we give it up, whichever is first: a browser can take a minute
 * to notice that a network is gone.
 */

/** What is used of a WebSocket; the browsers' own and npm's `ws` both have it. */
export interface WebSocketLike {
  /** Send a text frame. */
  send(text: string): void;
  /** Close it, with a code and a reason. */
  close(code?: number, reason?: string): void;
  /** Hear of each frame that comes. */
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  /** Hear of its end. */
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  /** Hear that something went wrong; a close follows. */
  addEventListener(type: "error", listener: (event: unknown) => void): void;
}

/** The class of WebSockets: the global one, or that of npm's `ws`. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface LineEvents {
  /** A text frame came. */
  text(text: string): void;
  /** Nothing came for a heartbeat: ask whether anybody is there. */
  quiet(): void;
  ended(code: number, reason: string): void;
}

/** Given up by us, to come back: no 1000 or 1001, after which the server would forget us. */
export const GIVEN_UP = 4000;

const ANSWER_WITHIN_MS = 10_000;

export class Line {
  readonly #socket: WebSocketLike;
  readonly #events: LineEvents;
  #ended = false;
  #heartbeatMs: number | undefined;
  #timer: ReturnType<typeof setTimeout>;

  constructor(socket: WebSocketLike, events: LineEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#timer = setTimeout(() => this.giveUp("no welcome in time"), ANSWER_WITHIN_MS);
    socket.addEventListener("message", ({ data }) => this.#message(data));
    socket.addEventListener("close", ({ code, reason }) => this.#end(code, reason));
    socket.addEventListener("error", () => {}); // a close always follows, and npm's ws throws without a listener
  }

  send(text: string): void {
    if (!this.#ended) this.#socket.send(text);
  }

  /** From now on silence means something: the server is never quiet for longer than it said. */
  expectHeartbeat(seconds: number): void {
    this.#heartbeatMs = seconds * 1000;
    this.#wait();
  }

  /** End it for good. */
  close(): void {
    this.#end(1000, "");
    this.#socket.close(1000);
  }

  /** End it now, without waiting for the other side, in order to come back. */
  giveUp(reason: string): void {
    this.#end(GIVEN_UP, reason);
    this.#socket.close(GIVEN_UP, reason);
  }

  #message(data: unknown): void {
    if (this.#ended || typeof data !== "string") return;
    this.#wait();
    this.#events.text(data);
  }

  /** A heartbeat of silence, then the time an answer may take, then it is over. */
  #wait(): void {
    if (this.#heartbeatMs === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.giveUp("no heartbeat"), ANSWER_WITHIN_MS);
      this.#events.quiet();
    }, this.#heartbeatMs);
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#events.ended(code, reason);
  }
}
