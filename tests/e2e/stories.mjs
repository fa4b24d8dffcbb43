/**
 * Stories of the call page in a real Chromium, against the front door that PARLEY_URL names.
 *
 * Every wait is for something that a user would see, with a deadline.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { arrive } from "./guest.mjs";

export const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

export const LIMIT = { timeout: 120_000 };

/** The browser of all stories of this process, once they run. */
export let browser;
before(async () => {
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

/** A name for a room in which nobody is. */
export const fresh = () => `e2e ${randomBytes(4).toString("hex")}`;

/** A test with guests in a room of their own; their pages are closed at its end, and none has complained. */
export function story(fact, play) {
  test(fact, LIMIT, async () => {
    const room = fresh();
    const guests = [];
    const guest = async (name, more = {}) => {
      const arrived = await arrive(browser, { url, room, name, ...more });
      guests.push(arrived);
      return arrived;
    };
    try {
      await play(guest, room);
      assert.deepEqual(
        guests.flatMap(({ complaints }) => complaints),
        [],
      );
    } finally {
      await Promise.all(guests.map(({ page }) => page.browserContext().close()));
    }
  });
}
