/**
 * The console in a real Chromium, against the front door that PARLEY_URL names, with real clients for traffic.
 *
 * Each story has an app of its own, so it sees its own clients alone.
 */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { launch } from "./browser.mjs";
import { gather } from "./crowd.mjs";
import { operate, PHONE } from "./operator.mjs";

const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

/** Where the server under test says that traces are looked at, if it is traced. */
const traces = process.env.PARLEY_TRACES;

const LIMIT = { timeout: 60_000 };
const HOSTILE = `<img src=x onerror="document.title='owned'">`;

let browser;
before(async () => {
  browser = await launch();
}, LIMIT);
after(() => browser?.close());

/** A test with clients and operators; everything is closed at its end, and no operator's page has complained. */
function story(fact, play) {
  test(fact, LIMIT, async () => {
    const app = `console-${randomBytes(4).toString("hex")}`;
    const crowd = await gather(browser, url, app);
    const operators = [];
    const operator = async (more = {}) => {
      const arrived = await operate(browser, { url, app, ...more });
      operators.push(arrived);
      return arrived;
    };
    try {
      await play({ operator, crowd, app });
      assert.deepEqual(
        operators.flatMap(({ complaints }) => complaints),
        [],
      );
    } finally {
      await Promise.all([...operators.map(({ page }) => page.browserContext().close()), crowd.end()]);
    }
  });
}

/** Let two be in a call in the room "tea", and return their connections. */
async function callOfTwo(crowd) {
  const connections = [await crowd.connect("ana"), await crowd.connect("ben")];
  for (const name of ["ana", "ben"]) {
    await crowd.ask(name, { action: "join", room: "tea" });
    await crowd.ask(name, { action: "presence", availability: "available" });
  }
  await crowd.negotiate("ana", "ben");
  return connections;
}

/** Runs in the page: it is in a tab behind others, or in front again. */
function hide(hidden) {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}

const measured = (connectionId) => ({
  connectionId,
  state: "connected",
  bytesSent: 90_000,
  bytesReceived: 80_000,
  packetsReceived: 98,
  packetsLost: 2,
  jitterMs: 3.5,
  roundTripMs: 42,
  localCandidate: "host",
  remoteCandidate: "relay",
  setupMs: 210,
  firstMediaMs: 480,
});

describe("the console", { concurrency: 3 }, () => {
  story(
    "the overview counts connections, rooms and calls as they come and go",
    async ({ operator, crowd }) => {
      const eye = await operator();
      await eye.counts("connections", 0);
      await callOfTwo(crowd);

      await eye.counts("connections", 2);
      await eye.counts("rooms", 1);
      await eye.counts("calls", 1);
      await eye.reads("joined tea, now 2 members", ".event");
      await eye.sees("[aria-label^='Messages. messages: latest']");
      await crowd.leave("ben");
      await eye.counts("connections", 1);
      await eye.counts("calls", 0);
    },
  );

  story("the overview says how every part is", async ({ operator }) => {
    const eye = await operator();
    for (const part of ["gateway", "presence", "rooms", "history"]) await eye.reads(part, ".table tbody th");

    await eye.reads("well", ".state-good");
  });

  story("a room shows who joins while they join", async ({ operator, crowd }) => {
    await crowd.connect("ana");
    await crowd.connect("ben");
    await crowd.ask("ana", { action: "join", room: "a/b c" });
    const eye = await operator({ path: "/rooms" });
    await eye.follows("a/b c");
    await eye.reads("ana joined", ".event");
    await eye.sees(".live-live");
    await crowd.ask("ben", { action: "join", room: "a/b c" });

    await eye.reads("ben joined a/b c, now 2 members", ".event");
    await eye.reads("ben", ".table tbody th");
    assert.equal(new URL(eye.page.url()).pathname, "/console/rooms/a%2Fb%20c");
  });

  story("a call tells how it came about, how well it went and why it ended", async ({ operator, crowd }) => {
    const [, ben] = await callOfTwo(crowd);
    await crowd.ask("ana", { action: "report", room: "tea", peers: [measured(ben)] });
    const eye = await operator({ path: "/calls" });
    await eye.reads("tea", ".table");
    await (await eye.sees(".table tbody th a")).click();
    await eye.reads("ana offered ben", "[data-step=offered]");
    await eye.reads("ben answered ana", "[data-step=answered]");
    await eye.reads("ana to ben", "[data-negotiation=answered] th");
    for (const [from, type, to] of [
      ["ben", "offer", "ana"],
      ["ben", "offer", "ana"],
      ["ana", "answer", "ben"],
    ])
      await crowd.describe(from, type, to);
    await eye.reads("replaced", "[data-negotiation=replaced] .number");
    await eye.reads("ben to ana", "[data-negotiation=answered] th");
    await eye.reads("480 ms", "[data-negotiation=answered] .number");
    await eye.sees("[aria-label^='Round trip. ana from ben: latest 42 ms']");
    await eye.reads("host to relay", ".table");
    if (traces) {
      for (const [words, within] of [
        ["Open the trace of its start", ".screen-head a"],
        ["trace of this step", "[data-step=offered] a"],
        ["the trace of this offer", "[data-negotiation] a"],
      ]) {
        const address = await (await eye.finds(within, words)).evaluate(({ href }) => href);
        assert.match(address.replace(traces, ""), /^[0-9a-f]{32}$/);
      }
    }
    await crowd.ask("ben", { action: "leave", room: "tea" });

    await eye.sees("[data-reason=left]");
    await eye.reads("ended", "h1 .state");
    if (traces) {
      const id = decodeURIComponent(new URL(eye.page.url()).pathname.split("/").at(-1));
      const own = createHash("sha256").update(id).digest("hex").slice(0, 32);
      const address = await (await eye.finds(".screen-head a", "Open its trace")).evaluate(
        ({ href }) => href,
      );
      assert.equal(address, `${traces}${own}`);
    }
  });

  story("messages are found by what was said", async ({ operator, crowd }) => {
    await crowd.connect("ana");
    await crowd.ask("ana", { action: "join", room: "tea" });
    await crowd.ask("ana", { action: "chat", room: "tea", id: "1", text: "the kettle is on" });
    const eye = await operator({ path: "/messages" });
    await eye.reads("the kettle is on", ".message");
    await crowd.ask("ana", { action: "chat", room: "tea", id: "2", text: "bring the biscuits" });
    await eye.reads("bring the biscuits", ".message");
    await eye.types("q", "biscuits");
    await eye.rows(1);

    await eye.reads("bring the biscuits", ".message");
    assert.equal(new URL(eye.page.url()).searchParams.get("q"), "biscuits");
  });

  story("a connection is ended once its operator has confirmed it", async ({ operator, crowd }) => {
    const ana = await crowd.connect("ana");
    await crowd.ask("ana", { action: "join", room: "tea" });
    const eye = await operator({ path: `/connections/${encodeURIComponent(ana)}` });
    await eye.reads("tea", ".room-list");
    await eye.reads("join", ".routes");
    await eye.clicks("Disconnect", ".screen-head");
    await eye.clicks("Cancel", "dialog");
    await crowd.ask("ana", { action: "ping" });
    await eye.clicks("Disconnect", ".screen-head");
    await eye.clicks("Disconnect", "dialog");

    assert.equal(await crowd.closed("ana"), 4504);
    await eye.reads("ended", "h1 .state");
    await eye.reads("ana disconnected", ".event");
  });

  story(
    "names, rooms, messages and metadata of strangers are text, and nothing of them runs",
    async ({ operator, crowd }) => {
      const eve = await crowd.connect(HOSTILE, { note: HOSTILE });
      await crowd.ask(HOSTILE, { action: "join", room: HOSTILE });
      await crowd.ask(HOSTILE, { action: "chat", room: HOSTILE, id: "1", text: HOSTILE });
      const eye = await operator({ path: "/messages" });
      await eye.reads(HOSTILE, ".message");
      for (const [screen, seen] of [
        ["", ".event"],
        ["/connections", ".table"],
        [`/connections/${encodeURIComponent(eve)}`, ".rows .value"],
        [`/rooms/${encodeURIComponent(HOSTILE)}`, ".event"],
      ]) {
        await eye.goes(screen);
        await eye.reads(HOSTILE, seen);
        assert.equal(await eye.page.$("img"), null);
        assert.notEqual(await eye.page.title(), "owned");
      }
    },
  );

  story("a long list is turned part by part, and a search finds one of it", async ({ operator, crowd }) => {
    await Promise.all(Array.from({ length: 103 }, (_, n) => crowd.connect(`user ${n}`)));
    const eye = await operator({ path: "/connections" });
    await eye.reads("1 to 100 of 103", ".pager");
    await eye.clicks("Next");
    await eye.reads("101 to 103 of 103", ".pager");
    await eye.rows(3);
    await eye.clicks("Previous");
    await eye.rows(100);
    await eye.types("q", "USER 77");

    await eye.rows(1);
    await eye.reads("user 77", ".table");
  });

  story("what happened while nobody looked is told afterwards", async ({ operator, crowd }) => {
    await crowd.connect("ana");
    await crowd.ask("ana", { action: "join", room: "tea" });
    const eye = await operator({ path: "/rooms/tea" });
    await eye.reads("ana joined", ".event");
    await eye.page.evaluate(hide, true);
    await crowd.ask("ana", { action: "chat", room: "tea", id: "1", text: "anybody there?" });
    const [resumed] = await Promise.all([
      eye.page.waitForRequest((request) => request.url().includes("/v1/events")),
      eye.page.evaluate(hide, false),
    ]);

    assert.match(resumed.headers()["last-event-id"], /^\d+$/); // from where it was left, not all of it again
    await eye.reads("anybody there?", ".event");
    assert.equal((await eye.page.$$("[data-type='room.joined']")).length, 1);
  });

  story(
    "another app is another console, and back leads to the one before",
    async ({ operator, crowd, app }) => {
      await crowd.connect("ana");
      const eye = await operator();
      await eye.counts("connections", 1);
      await eye.types("app", `${app}-other`);
      await eye.clicks("Show", ".who");
      await eye.counts("connections", 0);
      await eye.page.goBack();

      await eye.counts("connections", 1);
      assert.equal(await eye.page.$eval("input[name=app]", (field) => field.value), app);
    },
  );

  story("a token that has expired is said to have, and a good one lets in", async ({ operator, app }) => {
    const eye = await operator({ token: process.env.PARLEY_EXPIRED_TOKEN });
    await eye.reads("Your token has expired", "h1");
    await eye.types("token", process.env.PARLEY_ADMIN_TOKEN);
    await eye.clicks("Sign in");

    await eye.counts("connections", 0);
    await eye.reads("App operated as olga", ".who");
    assert.equal(new URL(eye.page.url()).hash, "");
    assert.notEqual(app, "operated");
  });

  story("nothing stands in the way of those who see or hear otherwise", async ({ operator, crowd }) => {
    const { ana, eye, found, looks } = await lookedAt(operator, crowd, { viewport: PHONE });
    for (const [screen, seen] of [
      ["/connections", "tbody tr"],
      ["/rooms", "tbody tr"],
      ["/messages", "tbody tr"],
      ["/charts", ".chart svg[role=img]"],
      ["/rooms/tea", ".event"],
    ]) {
      await eye.goes(screen);
      await looks(screen, seen);
    }
    await eye.goes(`/connections/${encodeURIComponent(ana)}`);
    await looks("a connection", ".routes");
    await eye.clicks("Disconnect", ".screen-head");
    await looks("the question before its end", "dialog[open]");
    await eye.goes("/calls");
    await looks("/calls", "tbody tr");
    await (await eye.sees(".table tbody th a")).click();
    await looks("a call", ".chart svg[role=img]");

    assert.deepEqual(found, {});
  });

  story("nor in the dark", async ({ operator, crowd }) => {
    const { ana, eye, found, looks } = await lookedAt(operator, crowd, { scheme: "dark" });
    await eye.goes(`/connections/${encodeURIComponent(ana)}`);
    await looks("a connection", ".routes");
    await eye.goes("/calls");
    await (await eye.sees(".table tbody th a")).click();
    await looks("a call", ".chart svg[role=img]");

    assert.deepEqual(found, {});
  });
});

/** Let somebody look at the overview beside a call, and return with what they go on looking, and what they found. */
async function lookedAt(operator, crowd, how) {
  const [ana, ben] = await callOfTwo(crowd);
  await crowd.ask("ana", { action: "report", room: "tea", peers: [measured(ben)] });
  await crowd.ask("ana", { action: "chat", room: "tea", id: "1", text: "hello" });
  const eye = await operator(how);
  const found = {};
  const looks = async (screen, seen) => {
    await eye.sees(seen);
    const wide = await eye.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    const barriers = [...(wide ? ["wider than the window"] : []), ...(await eye.barriers())];
    if (barriers.length > 0) found[screen] = barriers;
  };
  await eye.reads("well", ".state-good");
  await looks("overview", ".chart svg[role=img]");
  return { ana, eye, found, looks };
}
