/**
 * The call page in a real Chromium, against the front door that PARLEY_URL names.
 *
 * Every wait is for something that a user would see, with a deadline.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { arrive, PHONE } from "./guest.mjs";

const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 120_000 };

let browser;
before(async () => {
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

/** A test with guests in a room of their own; their pages are closed at its end, and none has complained. */
function story(fact, play) {
  test(fact, LIMIT, async () => {
    const room = `e2e ${randomBytes(4).toString("hex")}`;
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

const denied = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
};

const absent = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
};

story("two pages in one room see each other's pictures move", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.join();

  await Promise.all([ana.watches("Ben"), ben.watches("Ana"), ana.watches("Ana")]);
});

story("chat reaches the others, and its sender sees it delivered", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.join();
  await ana.writes("shall we begin?");

  await ana.sees(".said-own[data-delivery=sent]");
  await ben.reads("shall we begin?", ".said");
  await ben.writes("yes");
  await ana.reads("yes", ".said");
});

story("names and words of strangers are text, and nothing of them runs", async (guest) => {
  const hostile = `<img src=x onerror="document.title='owned'">`;
  const ana = await guest("Ana");
  const eve = await guest(hostile);
  await ana.join();
  await eve.join();
  await eve.writes(hostile);

  await ana.reads(hostile, ".said p");
  await ana.reads(hostile, ".tile-name");
  await ana.presses("People");
  await ana.reads(hostile, ".roster");
  assert.notEqual(await ana.page.title(), "owned");
  assert.equal(await ana.page.$("img"), null);
});

story("the page's policy stops what gets in all the same", async (guest) => {
  const ana = await guest("Ana");
  const outcomes = await ana.page.evaluate(async () => {
    const attempts = {
      markup: () =>
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.owned = true'>"),
      handler: () => document.body.setAttribute("onclick", "window.owned = true"),
      elsewhere: () => {
        document.body.append(Object.assign(new Image(), { src: "https://elsewhere.invalid/picture" }));
      },
    };
    const outcomes = {};
    for (const [name, attempt] of Object.entries(attempts)) {
      const violation = new Promise((resolve) => {
        const stopped = ({ effectiveDirective }) => resolve(effectiveDirective);
        document.addEventListener("securitypolicyviolation", stopped, { once: true });
      });
      try {
        attempt();
      } catch {} // what is not allowed to be assigned throws
      outcomes[name] = await violation;
    }
    return { ...outcomes, owned: window.owned ?? false };
  });
  ana.complaints.length = 0; // the browser writes violations in red, as it should

  assert.deepEqual(outcomes, {
    markup: "require-trusted-types-for",
    handler: "require-trusted-types-for",
    elsewhere: "img-src",
    owned: false,
  });
});

for (const [problem, before, sentence] of [
  ["a denied camera", denied, "The camera is blocked for this page."],
  ["no camera", absent, "No camera was found."],
]) {
  story(`${problem} costs the picture and not the call`, async (guest) => {
    const ana = await guest("Ana");
    const ben = await guest("Ben", { before, viewport: PHONE });
    await ben.reads(sentence);
    await ben.reads("Join to watch and listen");
    await ana.join();
    await ben.join();

    await ben.watches("Ana");
    await ben.writes("I can see you");
    await ana.reads("I can see you", ".said");
    await ana.sees(".tile[data-name=Ben] .tile-initials");
  });
}

story("who mutes, stops the camera or leaves is seen to do so", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.join();
  await ana.watches("Ben");

  await ben.presses("Mute microphone");
  await ana.sees(".tile[data-name=Ben] [aria-label='microphone off']");
  await ben.presses("Turn camera off");
  await ana.sees(".tile[data-name=Ben] .tile-initials");
  await ben.presses("Turn camera on");
  await ana.seesNot(".tile[data-name=Ben] .tile-initials");
  await ana.watches("Ben");
  await ben.presses("Leave");
  await ben.reads("You left the call.");
  await ana.seesNot(".tile[data-name=Ben]");
});

story("after a reload one is back in the room under the same name", async (guest, room) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.join();
  await ana.watches("Ben");
  await ben.page.reload();
  await ben.sees("input[name=name]");
  const fields = await ben.page.$$eval("input", (inputs) => inputs.map(({ value }) => value));
  await ben.join();

  assert.deepEqual(fields, ["Ben", room]);
  await Promise.all([ana.watches("Ben"), ben.watches("Ana")]);
});

story("the page can be used without a mouse", async (guest) => {
  const ana = await guest("Ana");
  await ana.page.keyboard.press("Enter");
  await ana.sees(".call");
  await ana.page.focus("button[aria-label='Leave']");
  await ana.page.keyboard.press("Space");
  await ana.reads("You left the call.");

  assert.equal(await ana.page.evaluate(() => document.activeElement?.textContent), "You left the call.");
});

for (const [scheme, viewport] of [
  ["light", PHONE],
  ["dark", undefined],
]) {
  story(`nothing stands in the way of those who see or hear otherwise, in ${scheme}`, async (guest) => {
    const ana = await guest("Ana", { scheme, viewport });
    const ben = await guest("Ben", { before: denied });
    await ben.join();
    const found = { lobby: await ana.barriers() };
    await ana.join();
    await ben.writes("hello");
    await ana.sees(".tile[data-name=Ben]");
    found.call = await ana.barriers();
    await ana.writes("hello yourself");
    await ana.sees(".said-own[data-delivery=sent]");
    found.chat = await ana.barriers();

    assert.deepEqual(found, { lobby: [], call: [], chat: [] });
  });
}
