/**
 * A walk through the console of an app in which something happens: people in rooms, a call with reports, chat.
 *
 * pictures.mjs stops at each screen to take a picture; whoever looks at what they make does, too.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { gather } from "./crowd.mjs";
import { operate } from "./operator.mjs";

const WIDE = { width: 1120, height: 860 };

const ROOMS = {
  "Monday planning": ["Ana Lima", "Ben Okafor", "Chiara Rossi"],
  support: ["Dora Keller", "Eva Lind"],
  "design review": ["Farid Haddad", "Ana Lima"],
};

const TALK = [
  ["Ben Okafor", "Morning! The draft is in the shared folder."],
  ["Chiara Rossi", "Read it on the train. I like the new opening."],
  ["Ana Lima", "Then let us go through the open questions."],
];

/** From whom to whom, how long packets take there and back, how many of a thousand are lost, and by which candidate. */
const PATHS = [
  ["Ana Lima", "Ben Okafor", 31, 2, "host"],
  ["Ben Okafor", "Ana Lima", 33, 4, "srflx"],
  ["Ana Lima", "Chiara Rossi", 88, 19, "relay"],
  ["Chiara Rossi", "Ana Lima", 93, 11, "relay"],
];

/** Reports as they come in half a minute, and the time that passes between them. */
const REPORTS = 7;
const EACH_MS = 5000;
/** People come one after another. */
const LATER_MS = 1500;

/** Walk, and call `stop(name, operator)` at the overview, at a call and at a room. */
export async function tourOfConsole(browser, { url, app }, stop) {
  const crowd = await gather(browser, url, app);
  const eye = await operate(browser, { url, app, viewport: WIDE });
  try {
    const ids = {};
    for (const [room, people] of Object.entries(ROOMS)) {
      for (const name of people) {
        ids[name] ??= await crowd.connect(name);
        await crowd.ask(name, { action: "join", room });
        await crowd.ask(name, { action: "presence", availability: "available" });
        await sleep(LATER_MS);
      }
    }
    await crowd.negotiate("Ana Lima", "Ben Okafor", 140);
    await crowd.negotiate("Ana Lima", "Chiara Rossi", 260);
    for (let n = 0; n < REPORTS; n += 1) {
      for (const name of new Set(PATHS.map(([from]) => from)))
        await crowd.ask(name, { action: "report", room: "Monday planning", peers: measured(name, ids, n) });
      if (n === REPORTS - 1) break;
      const [name, text] = TALK[n % TALK.length];
      if (n < TALK.length)
        await crowd.ask(name, { action: "chat", room: "Monday planning", id: String(n), text });
      await sleep(EACH_MS);
    }

    await eye.counts("calls", 1);
    await eye.sees(".chart svg[role=img]");
    await eye.reads("well", ".state-good");
    await stop("console-overview", eye);

    await eye.goes("/calls");
    await (await eye.sees(".table tbody th a")).click();
    await eye.sees("[aria-label^='Round trip.']");
    await eye.reads("Chiara Rossi", ".table tbody th");
    await stop("console-call", eye);

    await eye.goes(`/rooms/${encodeURIComponent("Monday planning")}`);
    await eye.reads("Chiara Rossi joined", ".event");
    await stop("console-room", eye);
  } finally {
    await Promise.all([eye.page.browserContext().close(), crowd.end()]);
  }
}

/** What somebody's program would report for the nth time: steady, but not quite. */
function measured(name, ids, n) {
  return PATHS.filter(([from]) => from === name).map(([, to, trip, lost, candidate], at) => {
    const wave = Math.sin(n * 1.7 + at + trip);
    return {
      connectionId: ids[to],
      state: "connected",
      bytesSent: Math.round(310_000 + 9000 * wave),
      bytesReceived: Math.round(300_000 + 14_000 * wave),
      packetsReceived: 1000 - lost,
      packetsLost: Math.max(0, Math.round(lost + 3 * wave)),
      jitterMs: 3 + lost / 8 + wave,
      roundTripMs: trip + 5 * wave,
      localCandidate: "host",
      remoteCandidate: candidate,
      setupMs: 180 + 2 * trip,
      firstMediaMs: 320 + 3 * trip,
    };
  });
}
