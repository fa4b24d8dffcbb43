/**
 * The call page in a real Chromium, against the front door that PARLEY_URL names.
 *
 * Every wait is for something that a user would see, with a deadline.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { launch } from "./browser.mjs";
import { arrive, PHONE } from "./guest.mjs";
import { tour } from "./tour.mjs";

const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 120_000 };

let browser;
before(async () => {
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

const fresh = () => `e2e ${randomBytes(4).toString("hex")}`;

/** A test with guests in a room of their own; their pages are closed at its end, and none has complained. */
function story(fact, play) {
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

const denied = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
};

const absent = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
};

/** A screen to be shared, without a user to choose one. */
const drawnScreen = () => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
    const pen = canvas.getContext("2d");
    setInterval(() => {
      pen.fillStyle = `hsl(${performance.now() / 20} 50% 50%)`;
      pen.fillRect(0, 0, 640, 360);
    }, 100);
    return canvas.captureStream(10);
  };
};

/** Sockets are lost at once until `serverIsBack`. */
const awayAtFirst = () => {
  window.sockets = [];
  const Real = window.WebSocket;
  window.WebSocket = class extends Real {
    constructor(address, protocols) {
      super(address, protocols);
      window.sockets.push(this);
      if (!window.serverIsBack) setTimeout(() => this.lose());
    }

    lose() {
      this.dispatchEvent(new CloseEvent("close", { code: 1006 }));
      this.close();
    }
  };
};

/** What a server says whose room has as many members as it may. */
const refusing = () => {
  const Real = window.WebSocket;
  window.WebSocket = class extends Real {
    send(text) {
      const { action, ref } = JSON.parse(text);
      if (action !== "join") return super.send(text);
      const data = JSON.stringify({ type: "error", ref, code: "room_full", message: "This room is full." });
      this.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
};

/** Runs in the page: members who take part in a room's call, and whom nobody sees. */
async function crowd(room, count) {
  const address = new URL("/", location.href.replace(/^http/, "ws"));
  window.crowdedRoom = room;
  window.crowd = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = new WebSocket(address, "parley.v1");
      const answered = (ref) =>
        new Promise((resolve) => {
          socket.addEventListener("message", ({ data }) => JSON.parse(data).ref === ref && resolve());
        });
      await new Promise((resolve) => socket.addEventListener("open", resolve));
      const [said, joined] = [answered("1"), answered("2")];
      socket.send(JSON.stringify({ action: "presence", availability: "available", ref: "1" }));
      socket.send(JSON.stringify({ action: "join", room, ref: "2" }));
      await Promise.all([said, joined]);
      return socket;
    }),
  );
}

/** Let a backend say so many lines in a room, one after the other. */
async function backend(room, count) {
  for (let number = 0; number < count; number += 1) {
    const response = await fetch(new URL(`/v1/rooms/${encodeURIComponent(room)}/messages`, url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: `line ${number} .` }),
    });
    assert.equal(response.status, 201);
  }
}

/** Mint a token that holds so long. */
function token(time) {
  const [program, ...words] = JSON.parse(process.env.PARLEY_COMMAND);
  return execFileSync(program, [...words, "token", "--for", time], { encoding: "utf8" }).trim();
}

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
  await ana.hears(hostile);
  await ana.presses("Leave");
  await ana.reads(hostile, ".farewell-people");
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

test(
  "nothing on any screen stands in the way of those who see or hear otherwise, light or dark",
  LIMIT,
  async () => {
    const found = {};
    const met = await tour(browser, { url, room: fresh() }, async (name, guest) => {
      for (const scheme of ["light", "dark"]) {
        await guest.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        found[`${name}, ${scheme}`] = await guest.barriers();
      }
      await guest.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    });

    assert.deepEqual(
      Object.entries(found).filter(([, barriers]) => barriers.length > 0),
      [],
    );
    assert.equal(Object.keys(found).length, 2 * 8, "every screen was seen");
    assert.deepEqual(
      met.flatMap(({ complaints }) => complaints),
      [],
    );
  },
);

story(
  "chat of before is there, more of it as one scrolls up, and one's own is one's own after a reload",
  async (guest, room) => {
    const ana = await guest("Ana");
    await ana.join();
    await ana.writes("mine");
    await ana.sees(".said-own[data-delivery=sent]");
    await backend(room, 70);
    await ana.reads("line 69", ".said");
    await ana.page.reload();
    await ana.sees("input[name=name]");
    await ana.join();
    await ana.reads("line 69", ".said");
    assert.equal(
      await ana.page.$$eval(".said", (lines) =>
        lines.some(({ textContent }) => textContent.includes("line 5 .")),
      ),
      false,
    );

    const log = await ana.sees(".log");
    await ana.page.waitForFunction(
      (log) => {
        log.scrollTop = 0;
        return [...document.querySelectorAll(".said-own")].some(({ textContent }) =>
          textContent.includes("mine"),
        );
      },
      { timeout: 30_000 },
      log,
    );
    const texts = await ana.page.$$eval(".said p", (lines) =>
      lines.map(({ textContent }) => textContent.trim()),
    );
    assert.deepEqual(texts, ["mine", ...Array.from({ length: 70 }, (_, number) => `line ${number} .`)]);
  },
);

story("who only chats is invited, may decline, and takes part once they accept", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.joinChat();
  await ana.presses("People");
  await ana.reads("only chatting", ".roster");
  await ben.reads("1 in the call", ".outside");
  await ana.seesNot(".tile[data-name=Ben]");

  await ana.presses("Invite: Ben");
  await ben.reads("Ana invites you", "dialog");
  await ben.says("Decline");
  await ana.hears("Ben declined.");
  await ana.seesNot(".tile[data-name=Ben]");

  await ana.presses("Invite again: Ben");
  await ben.reads("Ana invites you", "dialog");
  await ben.says("Accept");
  await ana.hears("Ben accepted and joins the call.");
  await Promise.all([ana.watches("Ben"), ben.watches("Ana")]);

  await ben.presses("People");
  await ben.chooses("Your availability", "Busy");
  await ana.seesNot(".tile[data-name=Ben]");
  await ana.reads("busy", ".roster");
});

story("a screen that is shared gets the stage, and gives it back", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben", { before: drawnScreen });
  await ana.join();
  await ben.join();
  await ana.watches("Ben");
  await ben.presses("Share the screen");

  await ben.reads("You share your screen.");
  await ana.sees(".tile-staged[data-name=Ben]");
  await ana.hears("Ben shares a screen.");
  await ana.watches("Ben");
  await ben.says("Stop sharing");
  await ana.seesNot(".tile-staged");
  await ana.watches("Ben");
});

story("who speaks is marked, in the tile and not by colour alone", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben"); // the browser's fake microphone beeps
  await ana.join();
  await ben.join();

  await ana.sees(".tile-speaking[data-name=Ben] [aria-label=speaks]");
  await ana.sees(".tile[data-name=Ben] .quality");
  assert.match(
    await ana.page.$eval(".tile[data-name=Ben] .quality", (chip) => chip.textContent),
    /^(Good|Fair|Poor) connection$/,
  );
});

story("eight are in a call; a ninth is told so and chats, until somebody leaves", async (guest, room) => {
  const ana = await guest("Ana");
  await ana.page.evaluate(crowd, room, 8);
  await ana.join();
  await ana.reads("8 people are in this call, which is as many as fit.");
  await ana.writes("I am here");
  await ana.sees(".said-own[data-delivery=sent]");

  await ana.page.evaluate(() =>
    window.crowd[0].send(JSON.stringify({ action: "leave", room: window.crowdedRoom })),
  );
  await ana.sees(".outside button:enabled");
  await ana.says("Take part");
  await ana.sees(".tile-own");
  assert.equal(await ana.page.$$eval(".tile", (tiles) => tiles.length), 8);
});

story("a microphone that was chosen is used, and remembered", async (guest) => {
  const ana = await guest("Ana");
  await ana.presses("Choose devices");
  await ana.page.waitForSelector("option::-p-text(Fake Audio Input 2)");
  await ana.chooses("Microphone", "Fake Audio Input 2");
  await ana.page.reload();
  await ana.presses("Choose devices");
  await ana.page.waitForSelector("option::-p-text(Fake Audio Input 2)");

  const chosen = await ana.page.$$eval("select", (lists) =>
    lists.map(({ selectedOptions: [option] }) => option.text),
  );
  assert.deepEqual(chosen.slice(0, 2), ["System default", "Fake Audio Input 2"]);
  await ana.page.waitForFunction(() => document.querySelector("dialog meter").value > 0.1);
});

story("single keys do what buttons do, where nothing is typed and who wants it", async (guest) => {
  const ana = await guest("Ana");
  await ana.join();
  const key = (name) => ana.page.keyboard.press(name);
  await key("m");
  await ana.sees(".tile-own [aria-label='microphone off']");
  await ana.hears("Microphone off.");
  await key("c");
  await ana.seesNot(".chat");
  await key("c");
  await (await ana.sees("input[name=message]")).focus();
  await key("m");
  assert.equal(await ana.page.$eval("input[name=message]", (input) => input.value), "m");
  await key("Escape");
  await ana.seesNot(".panel");
  await key("?");
  await (await ana.sees("dialog input[type=checkbox]")).click();
  await key("Escape");
  await ana.seesNot("dialog");
  await key("m");
  await key("p");
  await key("?");
  await ana.sees("dialog");
  await ana.seesNot(".panel");
  await ana.sees(".tile-own [aria-label='microphone off']");
});

story("after the call its summary is there, and the way back in", async (guest) => {
  const ana = await guest("Ana");
  const ben = await guest("Ben");
  await ana.join();
  await ben.join();
  await ana.sees(".tile[data-name=Ben] .quality");
  await ana.presses("Leave");
  await ana.reads("Ben", ".farewell-people");
  const facts = await ana.page.$$eval(".farewell-facts dd", (facts) =>
    facts.map(({ textContent }) => textContent),
  );
  assert.match(facts.join(", "), /^\d+ (s|min.*), [1-9].* (K|M)B, [1-9].* (K|M)B$/);

  await ana.says("Rejoin");
  await Promise.all([ana.watches("Ben"), ben.watches("Ana")]);
});

story("while the server is away the page says so, and joins when it is back", async (guest) => {
  const ana = await guest("Ana", { before: awayAtFirst });
  await ana.page.click("button[type=submit]");
  await ana.reads("The server does not answer.");
  ana.complaints.length = 0; // the browser writes in red that nobody answers
  await ana.page.evaluate(() => {
    window.serverIsBack = true;
    window.dispatchEvent(new Event("online")); // who hears this does not wait for the next attempt
  });
  await ana.sees(".call");

  await ana.page.evaluate(() => {
    window.serverIsBack = false;
    window.sockets.at(-1).lose();
  });
  await ana.reads("Reconnecting…", ".banner");
  await ana.page.evaluate(() => {
    window.serverIsBack = true;
    window.dispatchEvent(new Event("online")); // who hears this does not wait for the next attempt
  });
  await ana.seesNot(".banner p");
  ana.complaints.length = 0;
});

story("without a secure context the page says what it lacks", async (guest) => {
  const ana = await guest("Ana", { before: () => Object.defineProperty(navigator, "mediaDevices", {}) });
  await ana.reads(
    "Browsers offer a microphone and a camera only on https:// addresses. Open this page on one.",
  );
  await ana.join();
  await ana.writes("still here");
  await ana.sees(".said-own[data-delivery=sent]");
});

for (const [what, minted, words] of [
  ["has expired", () => token("1s"), "Your link has expired."],
  ["is no token", () => "nonsense", "The server does not know you."],
]) {
  story(`a link whose token ${what} says so`, async (guest) => {
    const ana = await guest("Ana", { token: minted() });
    await ana.page.waitForFunction((since) => Date.now() > since + 2500, { timeout: 10_000 }, Date.now());
    await ana.page.click("button[type=submit]");
    await ana.reads(words, "[role=alert]");
    ana.complaints.length = 0; // the browser writes in red what is refused
  });
}

story("a room that is full says so", async (guest) => {
  const ana = await guest("Ana", { before: refusing });
  await ana.page.click("button[type=submit]");
  await ana.reads("This room is full. Ask somebody in it to leave, or choose another room.", "[role=alert]");
});

test("the page is light, and soon there", LIMIT, async (context) => {
  const html = await (await fetch(url)).text();
  const files = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  assert.ok(files.some((path) => path.endsWith(".js")) && files.some((path) => path.endsWith(".css")));
  let bytes = gzipSync(html).length;
  for (const path of files) {
    bytes += gzipSync(Buffer.from(await (await fetch(new URL(path, url))).arrayBuffer())).length;
  }
  context.diagnostic(`The call app weighs ${bytes} bytes compressed.`);
  assert.ok(bytes < 200_000, `${bytes} bytes`);

  const ana = await arrive(browser, { url, room: fresh(), name: "Ana" });
  const [mark] = await ana.page.evaluate(() =>
    performance.getEntriesByName("interactive").map(({ startTime }) => startTime),
  );
  await ana.page.browserContext().close();
  context.diagnostic(`It was interactive ${Math.round(mark)} ms after it was asked for.`);
});
