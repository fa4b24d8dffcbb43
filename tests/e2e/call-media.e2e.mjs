/** Pictures, sound, and more that takes its time on the call page; what is quick is in `call.e2e.mjs`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./guest.mjs";
import { browser, fresh, LIMIT, story, url } from "./stories.mjs";
import { tour } from "./tour.mjs";

const denied = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
};

const absent = () => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("none", "NotFoundError"));
};

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
