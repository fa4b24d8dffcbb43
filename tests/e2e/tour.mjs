/**
 * A walk through every screen of the call app, as five people see it who meet in a room.
 *
 * Whoever walks along stops at each: the tests to look for barriers, pictures.mjs to take pictures.
 */

import { camera } from "./camera.mjs";
import { arrive, PHONE } from "./guest.mjs";

const WIDE = { width: 980, height: 600 };

const TALK = [
  ["Ben Okafor", "Morning! The draft is in the shared folder."],
  ["Chiara Rossi", "Read it on the train. I like the new opening."],
  ["Ben Okafor", "Then let us go through the open questions."],
];

/** Walk, and call `stop(name, guest)` at each screen. Returns who was met. */
export async function tour(browser, { url, room }, stop) {
  const guests = [];
  const guest = async (name, more = {}) => {
    const arrived = await arrive(browser, { url, room, name, before: camera(name), ...more });
    guests.push(arrived);
    return arrived;
  };
  const small = { width: 480, height: 320 };
  try {
    const ben = await guest("Ben Okafor", { viewport: small });
    await ben.join();
    const chiara = await guest("Chiara Rossi", { viewport: PHONE });
    await chiara.join();
    const eva = await guest("Eva Lind", { viewport: small });
    await eva.join();
    const dora = await guest("Dora Keller", { viewport: small, before: undefined });
    await dora.joinChat();
    for (const one of [ben, chiara]) await one.presses("Chat");
    for (const [name, text] of TALK) {
      await guests.find((one) => one.name === name).writes(text);
      for (const one of [ben, chiara]) await one.reads(text, ".said");
    }

    const ana = await guest("Ana Lima", { viewport: WIDE });
    await ana.page.waitForFunction(() => document.querySelector(".preview video")?.videoWidth > 0);
    await stop("lobby", ana);
    await ana.presses("Choose devices");
    await ana.sees("dialog");
    await stop("devices", ana);
    await ana.page.keyboard.press("Escape");
    await ana.seesNot("dialog");

    await ana.join();
    for (const [, text] of TALK) await ana.reads(text, ".said");
    for (const name of ["Ben Okafor", "Chiara Rossi", "Eva Lind"]) {
      await ana.watches(name, 2);
      await ana.sees(`.tile[data-name='${name}'] .quality`);
    }
    await stop("call", ana);

    await chiara.writes("Good. I have half an hour.");
    await chiara.sees(".said-own[data-delivery=sent]");
    await ana.reads("half an hour", ".said");
    await stop("chat", chiara);

    await ana.presses("People");
    await ana.presses("Invite: Dora Keller");
    await ana.reads("invited, no answer yet", ".roster");
    await stop("people", ana);
    await dora.sees("dialog");
    await stop("invitation", dora);
    await dora.says("Decline");
    await dora.seesNot("dialog");
    await ana.reads("declined", ".roster");

    await ana.page.keyboard.press("Escape");
    await ana.page.keyboard.press("?");
    await ana.reads("Keyboard shortcuts", "dialog");
    await stop("shortcuts", ana);
    await ana.page.keyboard.press("Escape");

    await ana.presses("Leave");
    await ana.reads("You left the call.", "h1");
    await stop("summary", ana);
    return guests.map(({ name, complaints }) => ({ name, complaints }));
  } finally {
    await Promise.all(guests.map(({ page }) => page.browserContext().close()));
  }
}
