/**
 * The client library in a real Chromium, with real peer connections, against the front door that PARLEY_URL names.
 *
 * Several clients may live in one page: what goes between them goes through the server and over the network
 * all the same. Pictures are of one colour each, in which something moves.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { launch, PLAIN_ADDRESSES } from "./browser.mjs";
import { Network } from "./network.mjs";
import { openPage, until } from "./sdk.mjs";

const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 90_000 };

let browser;
before(async () => {
  browser = await launch(PLAIN_ADDRESSES);
}, LIMIT);
after(() => browser?.close());

/** A test with pages and a room of its own. The pages are closed at its end, and none has complained. */
function story(fact, play) {
  test(fact, LIMIT, async (t) => {
    const room = `sdk ${randomBytes(4).toString("hex")}`;
    const context = await browser.createBrowserContext();
    const opened = [];
    const open = async (at = url) => {
      const found = await openPage(context, at);
      opened.push(found);
      return found.page;
    };
    try {
      await play({ open, room, t });
      const complaints = opened.flatMap((found) => found.complaints);
      assert.deepEqual(complaints, []);
      const troubles = opened.map(({ page }) =>
        page.evaluate(() => Object.values(clients).flatMap((c) => c.troubles)),
      );
      assert.deepEqual((await Promise.all(troubles)).flat(), []);
    } finally {
      await context.close();
    }
  });
}

const enter = (page, name, room, options = {}) =>
  page.evaluate((...given) => enter(...given), name, room, options);

/** Both see pictures of each other that move, from now on. */
const see = (page, one, other, since) =>
  until(
    page,
    (one, other, since) => moves(one, other, 5, since) && moves(other, one, 5, since),
    one,
    other,
    since ?? `${Math.random()}`,
  );

story(
  "two, then four pages in a room see each other move, and so they do after a reload of one",
  async ({ open, room, t }) => {
    const names = ["ana", "ben", "cid", "dan"];
    const pages = [];
    const sees = (name, others) =>
      until(
        pages[names.indexOf(name)],
        (name, others, since) => others.every((other) => moves(name, other, 5, since)),
        name,
        others.filter((other) => other !== name),
        others.join(),
      );
    for (const name of names) {
      const page = await open();
      pages.push(page);
      await enter(page, name, room, { colour: "green", sound: true });
      const here = names.slice(0, pages.length);
      if (here.length === 2 || here.length === 4) await Promise.all(here.map((one) => sees(one, here)));
    }
    const firsts = await Promise.all(
      pages.map((page, index) =>
        page.evaluate(
          (name) => [...clients[name].call.peers.values()].map(({ quality }) => quality),
          names[index],
        ),
      ),
    );
    for (const quality of firsts.flat())
      assert.ok(quality.firstMediaMs >= quality.setupMs && quality.setupMs > 0);
    const sorted = (name) =>
      firsts
        .flat()
        .map((quality) => Math.round(quality[name]))
        .sort((a, b) => a - b)
        .join(" ");
    t.diagnostic(
      `milliseconds to a path: ${sorted("setupMs")}; to the first media: ${sorted("firstMediaMs")}`,
    );

    await pages[2].reload();
    await pages[2].evaluate(async () => {
      window.sdk = await import("/sdk/index.js");
    });
    await enter(pages[2], "cid", room, { colour: "green" });
    await Promise.all(names.map((one) => sees(one, [...names].reverse())));

    await Promise.all(pages.map((page, index) => page.evaluate((name) => exit(name), names[index])));
    await until(
      pages[0],
      async (room) => {
        const get = async (path) => (await (await fetch(path)).json()).items;
        const [call] = await get(`/v1/calls?room=${encodeURIComponent(room)}`);
        const reported = call ? await get(`/v1/calls/${call.id}/quality`) : [];
        return reported.some(({ firstMediaMs, bytesReceived }) => firstMediaMs > 0 && bytesReceived > 0);
      },
      room,
    );
  },
);

/** Let both sides of a pair do something in the same moment, again and again, and wait each time until that has settled. */
const collide = (page, rounds, act) =>
  page.evaluate(
    async (rounds, act) => {
      const both = () => [peer("ana", "ben"), peer("ben", "ana")];
      const ufrag = ({ pc }) => /a=ice-ufrag:(\S+)/.exec(pc.currentLocalDescription?.sdp)?.[1];
      const outcome = { met: 0, anew: 0, waits: [] };
      for (const [client, other] of [
        ["ana", "ben"],
        ["ben", "ana"],
      ]) {
        clients[client].connection.on("signal", ({ data }) => {
          const offer = data.description?.type === "offer";
          if (offer && peer(client, other)?.pc.signalingState === "have-local-offer") outcome.met += 1;
        });
        clients[client].call.on("gone", () => {
          outcome.anew += 1;
        });
      }
      for (let round = 0; round < rounds; round += 1) {
        const before = both().map(ufrag);
        const begun = performance.now();
        for (const side of both()) act === "pc" ? side.pc.restartIce() : side.restartIce();
        const settled = (side, index) =>
          side?.pc.signalingState === "stable" && side.state === "connected" && ufrag(side) !== before[index];
        const since = `${act} ${round}`;
        const flows = () => moves("ana", "ben", 2, since) && moves("ben", "ana", 2, since);
        while (!both().every(settled) || (round % 10 === 9 && !flows())) {
          if (performance.now() > begun + 15_000)
            throw new Error(
              `round ${round}: ${both().map((side) => `${side?.pc.signalingState} ${side?.state}`)}`,
            );
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        outcome.waits.push(Math.round(performance.now() - begun));
      }
      return outcome;
    },
    rounds,
    act,
  );

story(
  "both sides offer at once, a hundred times, and each time the call goes on",
  async ({ open, room, t }) => {
    const page = await open();
    await enter(page, "ana", room, { colour: "red" });
    await enter(page, "ben", room, { colour: "green" });
    await see(page, "ana", "ben");
    const begun = Date.now();
    const { met, anew, waits } = await collide(page, 100, "pc");
    const took = Date.now() - begun;
    waits.sort((a, b) => a - b);
    t.diagnostic(`100 rounds in ${took} ms, settled within ${waits[50]} ms (median), ${waits[99]} ms (most)`);
    t.diagnostic(`an offer met an offer ${met} times; peer connections begun anew: ${anew}`);

    assert.ok(met >= 100, `offers met only ${met} times`);
    await see(page, "ana", "ben");
  },
);

story(
  "both sides look for another path at once, and media goes on over the same connection",
  async ({ open, room }) => {
    const page = await open();
    await enter(page, "ana", room, { colour: "red" });
    await enter(page, "ben", room, { colour: "green" });
    await see(page, "ana", "ben");
    const { anew } = await collide(page, 20, "peer");

    assert.equal(anew, 0);
    await see(page, "ana", "ben");
  },
);

story(
  "two who begin at the same moment have one call, with one picture and one sound each way",
  async ({ open, room }) => {
    const page = await open();
    await enter(page, "ana", room, { colour: "red", sound: true, takePart: false });
    await enter(page, "ben", room, { colour: "green", sound: true, takePart: false });
    for (let round = 0; round < 5; round += 1) {
      await page.evaluate(() => Promise.all([clients.ana.call.takePart(), clients.ben.call.takePart()]));
      await see(page, "ana", "ben", round);
      const tracks = await page.evaluate(() =>
        [peer("ana", "ben"), peer("ben", "ana")].map(({ stream, pc }) => [
          stream
            .getTracks()
            .map(({ kind }) => kind)
            .sort()
            .join(),
          pc.localDescription.sdp.match(/^m=\S+/gm).join(),
        ]),
      );
      assert.deepEqual(tracks, Array(2).fill(["audio,video", "m=audio,m=video,m=application"]));
      await page.evaluate(() =>
        Promise.all([clients.ana.call.stepBack("busy"), clients.ben.call.stepBack("away")]),
      );
      await until(
        page,
        () =>
          !peer("ana", "ben") &&
          !peer("ben", "ana") &&
          clients.ana.call.room.available.length === 0 &&
          clients.ben.call.room.available.length === 0,
      );
    }
  },
);

const CUT_MS = 10_000;

story(
  "a network that is away for ten seconds costs the pictures of that time and nothing else",
  async ({ open, room, t }) => {
    const network = await Network.between(url);
    try {
      const page = await open(network.url);
      await page.exposeFunction("moved", (text) => network.moved(text));
      await enter(page, "ana", room, { colour: "red", iceServers: [] });
      await enter(page, "ben", room, { colour: "green", iceServers: [] });
      await see(page, "ana", "ben");
      await page.evaluate(() => {
        window.events = [];
        for (const { call, connection } of Object.values(clients)) {
          call.on("gone", () => events.push("gone"));
          connection.on("renewed", () => events.push("renewed"));
        }
        window.both = () => [peer("ana", "ben"), peer("ben", "ana")];
        window.ufrags = () =>
          both()
            .map(({ pc }) => /a=ice-ufrag:(\S+)/.exec(pc.currentLocalDescription.sdp)[1])
            .join();
        window.shown = () => [frames("ana", "ben"), frames("ben", "ana")];
      });
      const begun = await page.evaluate(() => ufrags());

      network.hangUp(); // the server is away for a moment, and media has no reason to care
      await until(page, () => Object.values(clients).every(({ connection }) => connection.state !== "open"));
      await until(page, () => Object.values(clients).every(({ connection }) => connection.state === "open"));
      await see(page, "ana", "ben");
      assert.equal(await page.evaluate(() => ufrags()), begun);

      network.cut();
      const dark = Date.now();
      await page.evaluate(() => {
        window.posted = ["ana", "ben"].map((name) => clients[name].call.room.chat(`${name} in the dark`));
      });
      await until(page, () => both().every(({ state }) => state === "disconnected"));
      const still = await page.evaluate(() => shown());
      await new Promise((resolve) => setTimeout(resolve, dark + CUT_MS - Date.now()));
      assert.deepEqual(await page.evaluate(() => shown()), still);
      assert.ok(network.lost > 50, `only ${network.lost} packets were lost`);
      network.hangUp();
      network.restore();
      const back = Date.now();
      await see(page, "ana", "ben");
      t.diagnostic(
        `pictures move again ${Date.now() - back} ms after the network is back; ${network.lost} packets were lost`,
      );
      await page.evaluate(() => Promise.all(posted));
      await until(page, () => Object.values(clients).every(({ said }) => said.length === 2));

      const before = await page.evaluate(() => ufrags());
      await network.renumber();
      network.hangUp();
      const moved = Date.now();
      await until(
        page,
        (before) =>
          ufrags()
            .split(",")
            .every((ufrag) => !before.includes(ufrag)),
        before,
      );
      await see(page, "ana", "ben");
      t.diagnostic(`pictures move again ${Date.now() - moved} ms after all addresses have changed`);

      assert.deepEqual(await page.evaluate(() => events), []);
    } finally {
      await network.close();
    }
  },
);

story(
  "who is online and not willing is not called, and whoever steps back is called no more",
  async ({ open, room }) => {
    const page = await open();
    await enter(page, "ana", room, { colour: "red" });
    await enter(page, "cid", room, { colour: "blue", takePart: false });
    await page.evaluate(() => {
      window.signals = 0;
      clients.cid.connection.on("signal", ({ data }) => {
        if (data.description) signals += 1;
      });
      clients.cid.connection.on("invitation", (invitation) => {
        clients.cid.invitation = invitation;
      });
    });
    await enter(page, "ben", room, { colour: "green" });
    await see(page, "ana", "ben");
    const dormant = await page.evaluate(() =>
      clients.ben.call.room.dormant.map(({ metadata }) => metadata.name),
    );
    assert.deepEqual(dormant, ["cid"]);

    await page.evaluate(() => {
      const { room } = clients.ana.call;
      clients.ana.invited = room.invite(clients.cid.connection.connectionId, { text: "come in" });
    });
    await until(page, () => clients.cid.invitation?.text === "come in");
    await page.evaluate(() => clients.cid.invitation.decline());
    assert.equal(await page.evaluate(() => clients.ana.invited.answer), "declined");
    assert.equal(await page.evaluate(() => clients.cid.call.peers.size + signals), 0);

    await page.evaluate(() => clients.cid.call.takePart());
    await Promise.all([see(page, "cid", "ana"), see(page, "cid", "ben"), see(page, "ana", "ben")]);
    await page.evaluate(() => clients.ben.call.stepBack("busy"));
    await until(page, () => !peer("ana", "ben") && !peer("cid", "ben"));
    await enter(page, "dan", room, { colour: "blue" });
    await Promise.all([see(page, "dan", "ana"), see(page, "dan", "cid")]);
    const known = await page.evaluate(() => [clients.ben.call.peers.size, clients.dan.call.peers.size]);
    assert.deepEqual(known, [0, 2]);
  },
);

story(
  "the others see the screen in place of the camera, hear of a mute, and read what is sent straight to them",
  async ({ open, room }) => {
    const page = await open();
    await enter(page, "ana", room, { colour: "red", sound: true });
    await enter(page, "ben", room, {});
    await until(page, () => colour("ben", "ana") === "red" && peer("ben", "ana").audioLevel() > 0.1);
    const mids = await page.evaluate(() => {
      window.offers = 0;
      clients.ben.connection.on("signal", ({ data }) => {
        if (data.description) offers += 1;
      });
      return peer("ben", "ana").muted;
    });
    assert.deepEqual(mids, { audio: false, video: false });

    await page.evaluate(async () => {
      window.screen_ = film("blue");
      await clients.ana.call.shareScreen(screen_);
    });
    await until(page, () => colour("ben", "ana") === "blue" && peer("ben", "ana").sharing);
    await page.evaluate(() => clients.ana.call.stopSharing());
    await until(page, () => colour("ben", "ana") === "red" && !peer("ben", "ana").sharing);
    await page.evaluate(() => clients.ana.call.shareScreen(screen_));
    await until(page, () => colour("ben", "ana") === "blue");
    await page.evaluate(() => {
      const [track] = screen_.getVideoTracks();
      track.stop();
      track.dispatchEvent(new Event("ended")); // as when the user ends it in the browser's own bar
    });
    await until(
      page,
      () => colour("ben", "ana") === "red" && !clients.ana.call.sharing && !peer("ben", "ana").sharing,
    );

    await page.evaluate(() => Promise.all(["audio", "video"].map((kind) => clients.ana.call.mute(kind))));
    await until(
      page,
      () =>
        peer("ben", "ana").muted.audio &&
        peer("ben", "ana").muted.video &&
        peer("ben", "ana").audioLevel() === 0,
    );
    const packets = () =>
      page.evaluate(async () => {
        await peer("ben", "ana").measure();
        return peer("ben", "ana").quality.packetsReceived;
      });
    await until(page, async () => {
      const { packetsReceived } = peer("ben", "ana").quality;
      await peer("ben", "ana").measure();
      return peer("ben", "ana").quality.packetsReceived === packetsReceived;
    });
    assert.ok((await packets()) > 0);
    await page.evaluate(() => Promise.all(["audio", "video"].map((kind) => clients.ana.call.unmute(kind))));
    await until(
      page,
      () =>
        !peer("ben", "ana").muted.audio &&
        moves("ben", "ana", 5, "unmuted") &&
        peer("ben", "ana").audioLevel() > 0.1,
    );

    await page.evaluate(() => {
      clients.ana.call.send("to all");
      clients.ben.call.send(new Uint8Array([1, 2, 3]).buffer, clients.ana.connection.connectionId);
    });
    await until(page, () => clients.ben.heard[0] === "to all" && clients.ana.heard[0]?.byteLength === 3);
    const gone = await page.evaluate(() => {
      try {
        clients.ana.call.send("hello", "nobody");
      } catch (error) {
        return error.code;
      }
    });
    assert.equal(gone, "gone");
    assert.equal(await page.evaluate(() => offers), 0);
  },
);

story("twenty calls later nothing is left open", async ({ open, room }) => {
  const page = await open();
  await enter(page, "ana", room, { colour: "red" });
  const before = await page.evaluate(() => open_());
  for (let round = 0; round < 20; round += 1) {
    await enter(page, "ben", room, { colour: "green" });
    await until(
      page,
      () => peer("ben", "ana")?.state === "connected" && peer("ana", "ben")?.state === "connected",
    );
    if (round === 0) assert.equal(await page.evaluate(() => open_().peers), 2);
    await page.evaluate(() => exit("ben"));
  }
  await until(page, () => open_().peers === 0);
  await until(page, (before) => open_().listeners === before.listeners, before);
  await page.evaluate(() => exit("ana"));
  const left = await page.evaluate(() => open_());
  assert.deepEqual(left, { peers: 0, timers: 0, listeners: 0 });
});
