/**
 * The requests that have not been answered yet, in the order they were made.
 *
 * Knows no socket: the connection asks what to say again after it was interrupted.
 */

import { ParleyError, RefusedError } from "./errors.js";
import type { Answers, Refusal, Request } from "./frames.js";

/**
 * Says which trace a request belongs to, as a W3C `traceparent`; `undefined` where there is none. It is asked when the
 * request is made, so it finds the span that is active then.
 */
export type TraceSource = () => string | undefined;

interface Waiting {
  readonly ref: string;
  readonly request: Request;
  /** As it is said, and said again: also with the trace that it began in. */
  readonly text: string;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: ParleyError) => void;
}

/** Said again to a renewed connection it does no harm. */
const REPEATABLE: ReadonlySet<Request["action"]> = new Set(["join", "leave", "presence"]);

export class Requests {
  readonly #waiting = new Map<string, Waiting>();
  readonly #limit: number;
  readonly #traceparent: TraceSource;
  #made = 0;

  constructor(limit: number, traceparent: TraceSource = () => undefined) {
    this.#limit = limit;
    this.#traceparent = traceparent;
  }

  /** Remember a request. Returns its text for the wire, and its answer to come. */
  add<R extends Request>(request: R): { text: string; answer: Promise<Answers[R["action"]]> } {
    if (this.#waiting.size >= this.#limit) {
      const error = new ParleyError(
        "backlog_full",
        `${this.#limit} requests wait for an answer already; wait for some of them first.`,
      );
      return { text: "", answer: Promise.reject(error) };
    }
    this.#made += 1;
    const ref = `r${this.#made}`;
    const text = JSON.stringify({ ...request, ref, traceparent: this.#trace() });
    const answer = new Promise<Answers[R["action"]]>((resolve, reject) => {
      this.#waiting.set(ref, { ref, request, text, resolve, reject });
    });
    return { text, answer };
  }

  /** Return whether a request is that for a fresh token. */
  renews(ref: string | null | undefined): boolean {
    return this.#waiting.get(ref ?? "")?.request.action === "token";
  }

  /** Settle the request that an answer belongs to, if it still waits. */
  settle(frame: { readonly type: "ok" | "pong" | "error"; readonly ref?: string | null }): void {
    const waiting = frame.ref ? this.#waiting.get(frame.ref) : undefined;
    if (!waiting) return;
    this.#waiting.delete(waiting.ref);
    if (frame.type === "error") waiting.reject(refused(frame as Refusal));
    else waiting.resolve(frame as never);
  }

  /** Return what to repeat to a resumed connection: everything unanswered, in order. */
  unanswered(): string[] {
    return [...this.#waiting.values()].map(({ text }) => text);
  }

  /** Give up, with this error, what can't safely be said twice. The others stay. */
  interrupt(error: ParleyError): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (REPEATABLE.has(waiting.request.action)) continue;
      this.#waiting.delete(waiting.ref);
      waiting.reject(error);
    }
  }

  /** Give everything up. */
  abandon(error: ParleyError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }

  /** What the program's tracing says; where that fails, the request is made all the same. */
  #trace(): string | undefined {
    try {
      const said = this.#traceparent();
      return typeof said === "string" ? said : undefined;
    } catch {
      return undefined;
    }
  }
}

export function refused(frame: Refusal): RefusedError {
  return new RefusedError(frame.code, frame.message, frame.retryAfterMs);
}
