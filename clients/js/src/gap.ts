/** What a room's window did not hold any more, asked of history over REST. */

import type { Connection } from "./connection.js";
import type { Chat, Place } from "./frames.js";
import { chatBehind } from "./history.js";

const PAGE = 500;
/** Who has missed more had better page through history. */
const MOST = 5000;
const WITHIN_MS = 5000;
const AGAIN_MS = 500;

/** Return a room's chat behind one place and up to another, `undefined` if it can't be had. */
export async function chatBetween(
  connection: Connection,
  room: string,
  since: Place,
  until: Place,
): Promise<Chat[] | undefined> {
  const signal = AbortSignal.timeout(WITHIN_MS);
  const found: Chat[] = [];
  let place = since;
  try {
    for (;;) {
      const fresh = await chatBehind(connection, room, place, PAGE, signal);
      found.push(...fresh.filter((chat) => !(chat.epoch === until.epoch && chat.position > until.position)));
      const last = fresh.at(-1);
      if (!last || (last.epoch === until.epoch && last.position >= until.position)) return found;
      if (found.length > MOST) return undefined;
      place = last;
      if (fresh.length < PAGE) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS)); // it follows within moments
    }
  } catch {
    return undefined;
  }
}
