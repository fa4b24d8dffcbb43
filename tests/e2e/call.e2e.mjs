/** What people do on the call page. What takes longer is in `call-media.e2e.mjs`. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { arrive } from "./guest.mjs";
import { browser, fresh, LIMIT, story, url } from "./stories.mjs";

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

/** Runs in the page: press a button, go to what it brings at once, and return whether one is still there frames later. */
async function quickly(button, selector) {
  const brought = new Promise((resolve) => {
    const watch = new MutationObserver(() => {
      const element = document.querySelector(selector);
      if (!element) return;
      watch.disconnect();
      resolve(element);
    });
    watch.observe(document.body, { childList: true, subtree: true });
  });
  document.querySelector(button).focus();
  document.querySelector(button).click();
  const element = await brought;
  element.focus();
  for (let frame = 0; frame < 3; frame += 1) {
    await new Promise(requestAnimationFrame);
    await new Promise((resolve) => setTimeout(resolve)); // what was put off until after a paint has run then
  }
  return document.activeElement === element;
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

story("the page can be used without a mouse", async (guest) => {
  const ana = await guest("Ana");
  await ana.page.keyboard.press("Enter");
  await ana.sees(".call");
  await ana.page.focus("button[aria-label='Leave']");
  await ana.page.keyboard.press("Space");
  await ana.reads("You left the call.");

  assert.equal(await ana.page.evaluate(() => document.activeElement?.textContent), "You left the call.");
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
  const kept = await ana.page.evaluate(quickly, "button[aria-label^=Chat]", "input[name=message]");
  assert.equal(kept, true, "who begins to write at once is not stopped");
  await ana.page.focus("input[name=message]");
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

story("without a secure context the page says what it lacks", async (guest) => {
  const ana = await guest("Ana", { before: () => Object.defineProperty(navigator, "mediaDevices", {}) });
  await ana.reads(
    "Browsers offer a microphone and a camera only on https:// addresses. Open this page on one.",
  );
  await ana.join();
  await ana.writes("still here");
  await ana.sees(".said-own[data-delivery=sent]");
});

for (const [what, minted, life, words] of [
  ["has expired", () => token("1s"), 2500, "Your link has expired."],
  ["is no token", () => "nonsense", 0, "The server does not know you."],
]) {
  story(`a link whose token ${what} says so`, async (guest) => {
    const ana = await guest("Ana", { token: minted() });
    await ana.page.waitForFunction((over) => Date.now() > over, { timeout: 10_000 }, Date.now() + life);
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
