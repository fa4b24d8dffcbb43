/**
 * Public events as they happen.
 *
 * Read with `fetch`, because an EventSource can't say who is asking. A stream that ends is taken up behind the last
 * event that came, so nothing is missed and nothing comes twice. What comes is handed on several times a second in one
 * piece, however much it is. A page that nobody sees holds no stream: the browser grants few of them to one origin.
 */

import { type Signal, signal } from "@preact/signals";
import { waitBefore } from "parley-client";
import { useEffect, useMemo } from "preact/hooks";
import type { PublicEvent } from "./answers";
import { address, problemOf, type Query } from "./api";
import { asker, headers } from "./session";
import { Messages } from "./sse";

export type LiveState =
  | { readonly at: "connecting" | "live" }
  | { readonly at: "degraded" | "away"; readonly message: string };

const FLUSH_MS = 200;
const BACKOFF = { firstMs: 500, capMs: 15_000 };
/** The server says that it is there every 15 s; after three times that nobody is. */
const SILENCE_MS = 45_000;
/** Who comes back after longer begins anew, instead of being told all that has happened. */
const MEMORY_MS = 60_000;

export class Live {
  readonly state: Signal<LiveState> = signal<LiveState>({ at: "connecting" });
  readonly #query: Query;
  readonly #types: readonly string[];
  readonly #take: (events: readonly PublicEvent[]) => void;
  #last: string | undefined;
  #ending = new AbortController();
  #waiting: PublicEvent[] = [];
  #flush: number | undefined;
  #attempt = 0;
  #stopped = 0;

  /** Hand events that the query and the types select to `take`. */
  constructor(query: Query, types: readonly string[], take: (events: readonly PublicEvent[]) => void) {
    this.#query = query;
    this.#types = types;
    this.#take = take;
  }

  start(): void {
    this.#ending = new AbortController();
    this.#attempt = 0;
    if (performance.now() - this.#stopped > MEMORY_MS) this.#last = undefined;
    void this.#follow(this.#ending.signal);
  }

  stop(): void {
    this.#ending.abort();
    this.#stopped = performance.now();
    window.clearTimeout(this.#flush);
    this.#flush = undefined;
    this.#hand();
  }

  async #follow(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      const message = await this.#read(ending).catch((error: unknown) =>
        error instanceof Error && error.name !== "TypeError" ? error.message : "The server does not answer.",
      );
      if (ending.aborted) return;
      this.state.value = { at: "away", message };
      await pause(waitBefore(this.#attempt++, BACKOFF), ending);
    }
  }

  /** Read one stream to its end, and return why it ended. */
  async #read(ending: AbortSignal): Promise<string> {
    const silence = new AbortController();
    const watch = () => window.setTimeout(() => silence.abort(), SILENCE_MS);
    let timer = watch();
    const asked = asker();
    const resume = this.#last === undefined ? {} : { "Last-Event-ID": this.#last };
    try {
      const answer = await fetch(this.#address(), {
        headers: { ...headers(), ...resume, Accept: "text/event-stream" },
        cache: "no-store",
        signal: AbortSignal.any([ending, silence.signal]),
      });
      if (!answer.ok || !answer.body) throw await problemOf(answer, asked);
      this.state.value = { at: "live" };
      const messages = new Messages();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        window.clearTimeout(timer);
        timer = watch();
        this.#attempt = 0;
        for (const message of messages.take(part.value)) this.#heard(message);
      }
      return "The server ended the stream.";
    } catch (error) {
      if (silence.signal.aborted) return "The server has been silent.";
      throw error;
    } finally {
      window.clearTimeout(timer);
    }
  }

  #heard({ id, event, data }: { id: string | undefined; event: string; data: string }): void {
    if (event === "degraded") {
      this.state.value = {
        at: "degraded",
        message: "The server has lost its event log and goes on when it is back.",
      };
      return;
    }
    if (this.state.peek().at !== "live") this.state.value = { at: "live" };
    if (id !== undefined) this.#last = id;
    const read = publicEvent(data);
    if (!read) return;
    this.#waiting.push(read);
    this.#flush ??= window.setTimeout(() => this.#hand(), FLUSH_MS);
  }

  #hand(): void {
    this.#flush = undefined;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length > 0) this.#take(events);
  }

  #address(): string {
    const query = this.#last === undefined ? this.#query : { ...this.#query, since: undefined };
    const base = address("/v1/events", query);
    const types = this.#types.map((type) => `type=${encodeURIComponent(type)}`).join("&");
    return types ? `${base}${base.includes("?") ? "&" : "?"}${types}` : base;
  }
}

/** Follow events while the component is there and the page is seen. */
export function useLive(
  query: Query,
  types: readonly string[],
  take: (events: readonly PublicEvent[]) => void,
): Signal<LiveState> {
  const live = useMemo(() => new Live(query, types, take), []);
  useEffect(() => {
    let running = false;
    const turn = () => {
      if (document.hidden === !running) return;
      running = !document.hidden;
      if (running) live.start();
      else live.stop();
    };
    turn();
    document.addEventListener("visibilitychange", turn);
    return () => {
      document.removeEventListener("visibilitychange", turn);
      if (running) live.stop();
    };
  }, [live]);
  return live.state;
}

function publicEvent(data: string): PublicEvent | undefined {
  try {
    const read = JSON.parse(data) as PublicEvent;
    return typeof read?.type === "string" && typeof read.data === "object" && read.data ? read : undefined;
  } catch {
    return undefined;
  }
}

function pause(milliseconds: number, ending: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      window.clearTimeout(timer);
      resolve();
    };
    const timer = window.setTimeout(done, milliseconds);
    ending.addEventListener("abort", done, { once: true });
  });
}
