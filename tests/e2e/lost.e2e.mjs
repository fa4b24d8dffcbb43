/**
 * A call on the page whose gateways are killed in the middle of it.
 *
 * Media goes from browser to browser, so pictures have no reason to stop; chat has to be complete all the same.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { arrive } from "./guest.mjs";
import { kill } from "./instance.mjs";

const url = process.env.PARLEY_URL;
const LIMIT = { timeout: 150_000 };

/** What the browser writes in red about a socket whose other end is gone. */
const SOCKET = /WebSocket connection to .* failed/;
const STALL_MS = 3000;

let browser;
before(async () => {
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

/** Note from now on, in the page, how many frames of a member's picture have been shown, and when. */
async function film(guest, name) {
  await guest.page.evaluate((name) => {
    const video = [...document.querySelectorAll(".tile")]
      .find((tile) => tile.dataset.name === name)
      .querySelector("video");
    window.film = [];
    setInterval(() => {
      const { totalVideoFrames } = video.getVideoPlaybackQuality();
      window.film.push({ at: performance.now(), frames: totalVideoFrames, shown: video.isConnected });
    }, 100);
  }, name);
}

/** The longest time in which a picture stood still, and whether it was the same picture throughout. */
async function developed(guest) {
  const film = await guest.page.evaluate(() => window.film);
  let moved = film[0];
  let still = 0;
  for (const sample of film) {
    if (sample.frames !== moved.frames) moved = sample;
    still = Math.max(still, sample.at - moved.at);
  }
  const whole = film.every(({ frames, shown }, index) => shown && frames >= (film[index - 1]?.frames ?? 0));
  return { still, whole, frames: film.at(-1).frames - film[0].frames };
}

const said = ({ page }) =>
  page.$$eval(".said p", (lines) => lines.map(({ textContent }) => textContent.trim()));

test("a call and its chat outlive every gateway", LIMIT, async () => {
  const room = `lost ${randomBytes(4).toString("hex")}`;
  const ana = await arrive(browser, { url, room, name: "Ana" });
  const ben = await arrive(browser, { url, room, name: "Ben" });
  await ana.join();
  await ben.join();
  await Promise.all([ana.watches("Ben"), ben.watches("Ana")]);
  await film(ana, "Ben");
  await film(ben, "Ana");

  const written = [];
  const write = async (count) => {
    for (const guest of [ana, ben]) {
      for (let number = 0; number < count; number += 1) {
        const text = `${guest.name} ${written.length}`;
        written.push(text);
        await guest.writes(text);
      }
    }
  };
  await write(1);
  for (const replica of [0, 1]) {
    const killed = kill(replica);
    await write(3);
    await killed;
    await write(1);
  }
  for (const guest of [ana, ben]) {
    for (const text of written) await guest.reads(text, ".said");
  }
  await ana.seesNot(".said-own:not([data-delivery=sent])");
  await Promise.all([ana.watches("Ben", 30), ben.watches("Ana", 30)]);

  for (const guest of [ana, ben]) {
    const { still, whole, frames } = await developed(guest);
    assert.ok(still < STALL_MS, `the picture stood still for ${Math.round(still)} ms`);
    assert.ok(whole && frames > 0);
    const own = (name, texts) => texts.filter((text) => text.includes(name));
    const heard = await said(guest);
    for (const { name } of [ana, ben]) assert.deepEqual(own(name, heard), own(name, written));
    assert.deepEqual(
      guest.complaints.filter((complaint) => !SOCKET.test(complaint)),
      [],
    );
  }
});
