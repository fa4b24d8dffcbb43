/** What went wrong, in a sentence that says what to do about it. */

import { ClosedError, ParleyError } from "parley-client";

/** How many see and hear each other in one call: each sends a picture to each. */
export const MOST_IN_CALL = 8;

export const CALL_IS_FULL = `${MOST_IN_CALL} people are in this call, which is as many as fit. You can chat with them, and join in as soon as somebody leaves.`;

export function sentence(error: unknown): string {
  if (!(error instanceof ParleyError)) return error instanceof Error ? error.message : String(error);
  switch (error.code) {
    case "room_full":
      return "This room is full. Ask somebody in it to leave, or choose another room.";
    case "token_expired":
      return "Your link has expired. Ask whoever sent it for a new one, and open that.";
    case "unauthorized":
      return "The server does not know you. Open this page by the link that you were sent, or ask for a new one.";
    case "not_allowed":
      return "You may not do this here. Ask whoever runs this server.";
    case "rate_limited":
      return "That was too much at once. Wait a moment and try again.";
    case "degraded":
      return "Part of the server is away. Try again in a moment.";
    case "removed":
      return "You were taken out of this room. Ask whoever runs it before you come back.";
    default:
      return error instanceof ClosedError && error.closeCode === 1006
        ? "The server can't be reached. Look whether you are online, and try again."
        : error.message;
  }
}
