/**
 * npm's peerjs in a real browser, against the Parley that PARLEY_URL names: two tabs with a peer each.
 *
 * The page is of another origin than Parley, as pages of PeerJS' users are.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch } from "../../e2e/browser.mjs";

const url = new URL(process.env.PARLEY_URL);
const LIMIT = { timeout: 120_000 };
const script = readFileSync(new URL("node_modules/peerjs/dist/peerjs.min.js", import.meta.url));

const pages = createServer((request, response) => {
  const js = request.url.endsWith(".js");
  response.setHeader("content-type", js ? "text/javascript" : "text/html; charset=utf-8");
  response.end(js ? script : "<!doctype html><title>peer</title><script src=/peerjs.min.js></script>");
});

let browser;
before(async () => {
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  browser = await launch();
}, LIMIT);
after(async () => {
  await browser?.close();
  pages.close();
});

/** A tab with a peer, once it is open: `window.peer`. */
async function peer(id, path) {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  const options = { host: url.hostname, port: Number(url.port), secure: url.protocol === "https:", path };
  const opened = await page.evaluate(
    (id, options) =>
      new Promise((resolve, reject) => {
        window.peer = id ? new window.Peer(id, options) : new window.Peer(options);
        window.peer.on("open", resolve);
        window.peer.on("error", ({ type, message }) => reject(new Error(`${type}: ${message}`)));
      }),
    id,
    options,
  );
  return { page, id: opened };
}

const fresh = (name) => `${name}-${randomBytes(4).toString("hex")}`;

for (const path of ["/", "/peerjs"]) {
  test(`peers of ${path} get ids of their own, and talk`, LIMIT, async () => {
    const [ana, ben] = [await peer(undefined, path), await peer(undefined, path)];
    await ben.page.evaluate(() => {
      window.heard = [];
      window.peer.on("connection", (connection) => {
        connection.on("data", (data) => {
          window.heard.push(data);
          connection.send({ echo: data });
        });
      });
    });

    const answer = await ana.page.evaluate(
      (other) =>
        new Promise((resolve, reject) => {
          const connection = window.peer.connect(other, { metadata: { from: "ana" }, reliable: true });
          connection.on("data", resolve);
          connection.on("error", reject);
          connection.on("open", () => connection.send("hello"));
        }),
      ben.id,
    );

    assert.match(ana.id, /^[0-9a-f-]{36}$/);
    assert.deepEqual(answer, { echo: "hello" });
    assert.deepEqual(await ben.page.evaluate(() => window.heard), ["hello"]);
    await Promise.all([ana.page.close(), ben.page.close()]);
  });
}

test("one peer calls another, and sees its picture", LIMIT, async () => {
  const [ana, ben] = [await peer(fresh("ana"), "/peerjs"), await peer(fresh("ben"), "/peerjs")];
  await ben.page.evaluate(() => {
    window.peer.on("call", async (call) => {
      call.answer(await navigator.mediaDevices.getUserMedia({ video: true, audio: true }));
    });
  });

  const seen = await ana.page.evaluate(async (other) => {
    const mine = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    const call = window.peer.call(other, mine);
    const theirs = await new Promise((resolve, reject) => {
      call.on("stream", resolve);
      call.on("error", reject);
    });
    const video = Object.assign(document.createElement("video"), { srcObject: theirs, muted: true });
    await video.play();
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    return { kinds: theirs.getTracks().map(({ kind }) => kind), width: video.videoWidth };
  }, ben.id);

  assert.deepEqual(seen.kinds.sort(), ["audio", "video"]);
  assert.ok(seen.width > 0);
  await Promise.all([ana.page.close(), ben.page.close()]);
});

test("a peer whose socket is gone comes back under its id, and is found again", LIMIT, async () => {
  const [ana, ben] = [await peer(fresh("ana"), "/peerjs"), await peer(fresh("ben"), "/peerjs")];
  const back = await ben.page.evaluate(
    () =>
      new Promise((resolve) => {
        window.peer.on("disconnected", () => {
          window.peer.on("open", resolve);
          window.peer.reconnect();
        });
        window.peer.on("connection", (connection) => connection.on("open", () => connection.send("found")));
        window.peer.disconnect();
      }),
  );

  const answer = await ana.page.evaluate(
    (other) => new Promise((resolve) => window.peer.connect(other).on("data", resolve)),
    ben.id,
  );

  assert.equal(back, ben.id);
  assert.equal(answer, "found");
  await Promise.all([ana.page.close(), ben.page.close()]);
});

test("the client makes errors of what it is told", LIMIT, async () => {
  const ana = await peer(fresh("ana"), "/peerjs");
  const absent = await ana.page.evaluate(
    (other) =>
      new Promise((resolve) => {
        const errors = [];
        window.peer.on("error", ({ type }) => errors.push(type));
        window.peer.connect(other);
        setTimeout(() => resolve(errors), 9000); // long enough for a second one to come, which must not
      }),
    fresh("nobody"),
  );

  assert.deepEqual(absent, ["peer-unavailable"]);
  await assert.rejects(peer(ana.id, "/peerjs"), /unavailable-id/);
  await ana.page.close();
});
