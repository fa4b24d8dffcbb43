/**
 * The first layer: a connection that comes back.
 *
 * It keeps what is needed to resume (the token and the last `n` it has processed), asks
 * again what was not answered, and tells the layers above when it came back as a new one.
 */

import { Emitter } from "./emitter.js";
import { ClosedError, InterruptedError, RefusedError } from "./errors.js";
import type {
  Answers,
  Availability,
  Degraded,
  GoAway,
  Message,
  Metadata,
  Refusal,
  Request,
  RoomFrame,
  ServerFrame,
  Signal,
  Welcome,
} from "./frames.js";
import { decode } from "./frames.js";
import { newId } from "./ids.js";
import { type Invitation, Invitations } from "./invitation.js";
import { Line, type WebSocketConstructor } from "./line.js";
import { type Backoff, DEFAULT_BACKOFF, mayReconnect, TOKEN_EXPIRED, waitBefore } from "./reconnect.js";
import { Requests, refused, type TraceSource } from "./requests.js";
import type { Room } from "./room.js";
import { Token, type TokenSource } from "./token.js";

/** Where to connect to, and as whom. */
export interface ConnectOptions {
  /** The front door: `https://` or `wss://` (`http://` and `ws://` in development). */
  readonly url: string | URL;
  /** The app to speak in; `default` unless the token says another. */
  readonly app?: string;
  /**
   * A JWT, or how to get a fresh one: asked before each attempt, and when four fifths of the last one's life are
   * over; the server then gets the fresh one without a new connection. Development mode needs none.
   */
  readonly token?: TokenSource;
  /** What the connection says about itself from the start; `deviceId` is made up if it is not given. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where there is no global one, such as Node 20: npm's `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  /** How long to wait between attempts; from a quarter of a second up to 15 seconds unless it says otherwise. */
  readonly backoff?: Backoff;
  /**
   * Which trace a request belongs to: with OpenTelemetry, that of the active span. The server's spans of the request,
   * up to its delivery to others, are then children of it. Asked once for each request; said again, that keeps it.
   */
  readonly traceparent?: TraceSource;
}

/** `connecting` is the first attempt, `reconnecting` every other; `closed` is for good. */
export type ConnectionState = "connecting" | "open" | "reconnecting" | "closed";

/** What happens to a connection, and what it hears. */
export interface ConnectionEvents {
  /** It is in another state. */
  state: ConnectionState;
  /** It came back under a new id: rooms have to be joined again, which `Room` does by itself. */
  renewed: { readonly connectionId: string };
  /** It will not come back. */
  closed: ClosedError;
  /** Anything but an invitation. */
  signal: Signal;
  /** Somebody asks this client into a call. */
  invitation: Invitation;
  /** What concerns a room, as it comes. `Room` listens to it and keeps the order; listen there. */
  room: RoomFrame;
  /** A backend speaks to this connection alone. */
  message: Message;
  /** An error that belongs to no request, such as a token that could not be had. */
  refused: Error;
  /** The server wants its clients to go elsewhere, as before a rollout. It happens by itself. */
  goAway: GoAway;
  /** The server can't do all of its work for a while, or can again; `connection.degraded` is the last word. */
  degraded: Degraded;
}

const PROTOCOL = "parley.v1";
const BACKLOG = 1000;
const RESERVED = ["app", "token", "resume", "n", "attempt"];

/**
 * Connect to a Parley server. Requests may be made at once; they wait until it is open.
 *
 * Throws a `TypeError` if a name in `metadata` is a word of the protocol, or if there is no `WebSocket`.
 */
export function connect(options: ConnectOptions): Connection {
  return new Connection(options);
}

/**
 * A connection that comes back: after a lost network, a killed gateway or a night's sleep, as the same one wherever
 * the server still knows it, and then nothing is lost. Made by `connect`.
 */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #url: URL;
  readonly #options: ConnectOptions;
  readonly #WebSocket: WebSocketConstructor;
  readonly #requests: Requests;
  readonly #token: Token;
  readonly #rooms = new Set<Room>();
  /** @internal */
  readonly invitations: Invitations;
  /** Where resuming fails, the server ends what is left of us from before at once: it is the same device. */
  readonly #device = newId();
  readonly #identities = new Set<string>();

  #state: ConnectionState = "connecting";
  #line: Line | undefined;
  #attempt = 0;
  #redial: ReturnType<typeof setTimeout> | undefined;
  /** Of the attempt under way: the sentence with which the server refused it, or ended it. */
  #refusal: Refusal | undefined;
  /** Set with the welcome. */
  #welcome: Welcome | undefined;
  /** The last `n` processed. */
  #n = -1;
  /** The number of the last attempt to resume: what arrives late of an earlier one changes nothing. */
  #resuming = 0;
  /** What was last said of ourselves: a renewed connection starts without it. */
  #presence: { availability?: Availability; metadata?: Metadata } | undefined;
  #degraded: Degraded | undefined;
  #end: ClosedError | undefined;

  /** @internal */
  constructor(options: ConnectOptions) {
    super();
    const name = RESERVED.find((reserved) => options.metadata && reserved in options.metadata);
    if (name) throw new TypeError(`Metadata can't be called "${name}": the protocol uses this word itself.`);
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (!WebSocket) throw new TypeError("There is no global WebSocket here; pass one, such as npm's ws.");
    this.#WebSocket = WebSocket;
    this.#options = options;
    this.#requests = new Requests(BACKLOG, options.traceparent);
    this.#token = new Token(options.token, {
      fresh: (token) => this.request({ action: "token", token }),
      failed: (error) => this.emit("refused", error),
    });
    this.invitations = new Invitations({
      received: (invitation) => this.emit("invitation", invitation),
      signal: (to, data) => this.signal(to, data),
      member: (connectionId) =>
        [...this.#rooms].map((room) => room.members.get(connectionId)).find((member) => member),
    });
    this.#url = new URL(options.url, globalThis.location?.href);
    globalThis.addEventListener?.("online", this.#hurry);
    void this.#dial();
  }

  /** Whether requests are answered now (`open`), later, or never again (`closed`). */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Known once it is open; another one after it was renewed. */
  get connectionId(): string | undefined {
    return this.#welcome?.connectionId;
  }

  /** The app that it speaks in; known for sure once it is open. */
  get app(): string | undefined {
    return this.#welcome?.app ?? this.#options.app;
  }

  /** What the server can't do at the moment, in its own words; `undefined` while all is well. */
  get degraded(): Degraded | undefined {
    return this.#degraded;
  }

  /** How willing this connection is, as it has last said by `setPresence`; `online` until then. */
  get availability(): Availability {
    return this.#presence?.availability ?? "online";
  }

  /** The rooms that were joined on this connection and not left. */
  get rooms(): ReadonlySet<Room> {
    return this.#rooms;
  }

  /** @internal */
  enroll(room: Room): () => void {
    this.#rooms.add(room);
    return () => this.#rooms.delete(room);
  }

  /** Return whether an id is, or was, this connection's own. */
  isSelf(connectionId: string | null | undefined): boolean {
    return typeof connectionId === "string" && this.#identities.has(connectionId);
  }

  /** Resolves when it is open; rejects with a `ClosedError` when it is closed for good. */
  async opened(): Promise<this> {
    while (this.#state !== "open") {
      if (this.#end) throw this.#end;
      await new Promise<void>((resolve) => {
        const stop = this.on("state", () => {
          stop();
          resolve();
        });
      });
    }
    return this;
  }

  /**
   * Ask the server for one of the protocol's actions, and resolve with its answer. For those that the layers above
   * have no word for.
   *
   * It survives a resume. Rejects with a `RefusedError` if the server says no, with an `InterruptedError` if the
   * connection came back as a new one before the answer and the request can't be repeated safely, with a
   * `ClosedError` if it is over, and with a `ParleyError` of code `backlog_full` while 1,000 others wait.
   */
  request<R extends Request>(request: R): Promise<Answers[R["action"]]> {
    if (this.#end) return Promise.reject(this.#end);
    const { text, answer } = this.#requests.add(request);
    if (text && this.#state === "open") this.#line?.send(text);
    return answer;
  }

  /**
   * Say something to one connection of the same app: any JSON. Needs the grant `direct`.
   *
   * Rejects with a `RefusedError` of code `gone` or `not_found` if there is no such connection.
   */
  async signal(to: string, data: unknown): Promise<void> {
    await this.request({ action: "signal", to, data });
  }

  /**
   * Say how willing this connection is, or something about it; metadata is merged with what was said before.
   *
   * Rejects with a `RefusedError` of code `not_allowed` if the token does not grant it; nothing has changed then.
   */
  async setPresence(presence: { availability?: Availability; metadata?: Metadata }): Promise<void> {
    const before = this.#presence;
    const said = { ...before, ...presence, metadata: { ...before?.metadata, ...presence.metadata } };
    this.#presence = said;
    try {
      await this.request({ action: "presence", ...presence });
    } catch (error) {
      if (error instanceof RefusedError && this.#presence === said) this.#presence = before;
      throw error;
    }
  }

  /**
   * Ask the REST interface behind the same front door, as the same client: its app and token go along.
   *
   * Resolves with whatever is answered, refusals too; rejects as `fetch` does, and as the source of the token does.
   */
  async http(path: string, signal?: AbortSignal): Promise<Response> {
    const url = new URL(path, this.#url);
    url.protocol = secure(this.#url) ? "https:" : "http:";
    if (this.#options.app) url.searchParams.set("app", this.#options.app);
    const token = await this.#token.current();
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    return fetch(url, signal ? { headers, signal } : { headers });
  }

  /** Leave for good: the others are told at once. What waits for an answer rejects with a `ClosedError`. */
  close(): void {
    this.#finish(new ClosedError(1000, "This connection was closed by its own side."));
  }

  async #dial(): Promise<void> {
    clearTimeout(this.#redial);
    this.#redial = undefined;
    this.#refusal = undefined;
    try {
      const token = await this.#token.fresh();
      if (this.#end) return;
      const protocols = token ? [PROTOCOL, `bearer.${token}`] : [PROTOCOL];
      this.#line = new Line(new this.#WebSocket(this.#address(), protocols), {
        text: (text) => this.#receive(text),
        quiet: () => void this.request({ action: "ping" }).catch(() => {}), // the line gives up by itself
        ended: (code, reason) => this.#ended(code, reason),
      });
    } catch (error) {
      this.emit("refused", error instanceof Error ? error : new Error(String(error)));
      this.#ended(1006, "no token");
    }
  }

  #address(): string {
    const url = new URL(this.#url);
    url.protocol = secure(url) ? "wss:" : "ws:";
    const { app, metadata } = this.#options;
    if (app) url.searchParams.set("app", app);
    const said = { deviceId: this.#device, ...metadata };
    for (const [name, value] of Object.entries(said)) url.searchParams.set(name, value);
    if (this.#welcome) {
      url.searchParams.set("resume", this.#welcome.resumeToken);
      url.searchParams.set("n", String(Math.max(0, this.#n)));
      this.#resuming = Math.max(this.#resuming + 1, Date.now());
      url.searchParams.set("attempt", String(this.#resuming));
    }
    return url.href;
  }

  #receive(text: string): void {
    const frame = decode(text);
    if (!frame) return;
    if (frame.type === "pong") {
      this.#n = Math.max(this.#n, frame.n); // says where we are; it is not itself counted
    } else if (frame.n !== undefined) {
      if (frame.n <= this.#n) return;
      this.#n = frame.n;
    }
    this.#handle(frame);
  }

  #handle(frame: ServerFrame): void {
    switch (frame.type) {
      case "welcome":
        return this.#welcomed(frame);
      case "ok":
      case "pong":
        return this.#requests.settle(frame);
      case "error":
        return frame.ref ? this.#refused(frame) : this.#refusedAtLarge(frame);
      case "signal":
        return this.invitations.receive(frame) ? undefined : this.emit("signal", frame);
      case "message":
        return frame.room ? this.emit("room", frame) : this.emit("message", frame);
      case "member.joined":
      case "member.left":
      case "member.changed":
      case "chat":
        return this.emit("room", frame);
      case "goAway":
        return this.#goAway(frame);
      case "degraded":
      case "restored":
        return this.#weather(frame);
      default: // a later server may say more
        return;
    }
  }

  #welcomed(welcome: Welcome): void {
    const renewed = this.#welcome !== undefined && !welcome.resumed;
    this.#welcome = welcome;
    this.#identities.add(welcome.connectionId);
    this.#attempt = 0;
    this.#line?.expectHeartbeat(welcome.heartbeatSeconds);
    this.#token.keep(welcome.time);
    if (!welcome.resumed) this.#n = -1;
    if (renewed) {
      this.#requests.interrupt(new InterruptedError());
      this.invitations.end();
    }
    const again = this.#requests.unanswered();
    this.#enter("open");
    if (renewed) this.#introduce(welcome.connectionId);
    for (const text of again) this.#line?.send(text);
    // It is said by the gateway that one is connected to; of the next one's weather nothing is known but that it is up.
    if (this.#degraded) this.#weather({ type: "restored", reason: "Connected anew." });
  }

  /** Say to the server, before anything else, what a new connection does not have. */
  #introduce(connectionId: string): void {
    if (this.#presence) void this.request({ action: "presence", ...this.#presence }).catch(() => {});
    this.emit("renewed", { connectionId });
  }

  /** What was refused for the token's age is asked again with a fresh one: the server hangs up now. */
  #refused(frame: Refusal): void {
    if (frame.code === "token_expired" && !this.#requests.renews(frame.ref)) {
      this.#refusal = frame;
      if (this.#token.renewable) return;
    }
    this.#requests.settle(frame);
  }

  #weather(frame: Degraded): void {
    this.#degraded = frame.type === "degraded" ? frame : undefined;
    this.emit("degraded", frame);
  }

  #refusedAtLarge(frame: Refusal): void {
    this.#refusal = frame;
    this.emit("refused", refused(frame));
  }

  #goAway(frame: GoAway): void {
    const line = this.#line;
    setTimeout(() => line?.giveUp("the server asked to"), frame.reconnectAfterMs);
    this.emit("goAway", frame);
  }

  #ended(code: number, reason: string): void {
    this.#line = undefined;
    this.#token.stop();
    if (this.#end) return;
    // What ends with its token, as after a night's sleep, comes back with a fresh one, if there is one to be had.
    const outlived = code === TOKEN_EXPIRED && this.#state === "open" && this.#token.renewable;
    if (!mayReconnect(code) && !outlived) {
      const sentence = this.#refusal?.message ?? (reason || `The server closed the connection (${code}).`);
      return this.#finish(new ClosedError(code, sentence, this.#refusal?.code));
    }
    const wait = waitBefore(this.#attempt, this.#options.backoff ?? DEFAULT_BACKOFF);
    this.#attempt += 1;
    this.#redial = setTimeout(() => void this.#dial(), wait + (this.#refusal?.retryAfterMs ?? 0));
    this.#enter("reconnecting");
  }

  /** The network is back: don't wait for the next attempt. */
  readonly #hurry = (): void => {
    if (this.#redial !== undefined) void this.#dial();
  };

  #finish(end: ClosedError): void {
    if (this.#end) return;
    this.#end = end;
    clearTimeout(this.#redial);
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#line?.close();
    this.#token.stop();
    this.#requests.abandon(end);
    this.invitations.end();
    this.#enter("closed");
    this.emit("closed", end);
  }

  #enter(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", state);
  }
}

function secure(url: URL): boolean {
  return url.protocol === "https:" || url.protocol === "wss:";
}
