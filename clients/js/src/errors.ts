/**
 * Everything that this library rejects with.
 *
 *     ParleyError
 *     ├── RefusedError       the server said no, and why
 *     ├── InterruptedError   the connection was renewed before the answer came
 *     └── ClosedError        the connection is over, and will not come back
 */

/** The server's codes; others may be added. */
export type ErrorCode =
  | "bad_frame"
  | "bad_request"
  | "unknown_action"
  | "unauthorized"
  | "not_allowed"
  | "not_member"
  | "not_found"
  | "gone"
  | "room_full"
  | "too_large"
  | "rate_limited"
  | "degraded"
  | "token_expired"
  | "internal"
  | (string & {});

/** What this library rejects with; the others below are kinds of it. */
export class ParleyError extends Error {
  override readonly name: string = "ParleyError";
  /** Stable, for programs; the message is for people. */
  readonly code: ErrorCode;

  /** @internal */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The server refused a request. */
export class RefusedError extends ParleyError {
  override readonly name = "RefusedError";
  /** How many milliseconds to wait before asking again, where waiting helps. */
  readonly retryAfterMs: number | undefined;

  /** @internal */
  constructor(code: ErrorCode, message: string, retryAfterMs?: number) {
    super(code, message);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The connection came back as a new one before the request was answered.
 *
 * Whether the server has done it is not known.
 */
export class InterruptedError extends ParleyError {
  override readonly name = "InterruptedError";

  /** @internal */
  constructor() {
    super("interrupted", "The connection was renewed before the answer came; ask again if it still matters.");
  }
}

/**
 * The connection is over and will not come back by itself.
 *
 * Its code is `closed`, or the server's word for why: `unauthorized`, `token_expired`, `not_allowed`. Its message says
 * it to people.
 */
export class ClosedError extends ParleyError {
  override readonly name = "ClosedError";
  /** The WebSocket close code; 1000 when this client closed it. */
  readonly closeCode: number;

  /** @internal */
  constructor(closeCode: number, message: string, code: ErrorCode = "closed") {
    super(code, message);
    this.closeCode = closeCode;
  }
}
