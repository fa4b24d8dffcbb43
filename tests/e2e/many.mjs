/** The console beside many connections: how long until it shows them, how it scrolls and turns, what it keeps. */

import { launch } from "./browser.mjs";
import { operate } from "./operator.mjs";

const url = process.env.PARLEY_URL;
const WATCHED_MS = 20_000;

const browser = await launch();
const eye = await operate(browser, { url, app: "many", path: "/connections" });
await eye.rows(100);

const figures = {};
figures["first rows after a load, ms"] = await took(async () => {
  await eye.goes("/connections");
  await eye.rows(100);
});
await eye.reads(" of ", ".pager");
figures.listed = await eye.page.$eval(".pager p", (said) => said.textContent);
figures["rows in the page"] = await eye.page.$$eval("tbody tr", (rows) => rows.length);

const turns = [];
for (let n = 1; n <= 9; n += 1)
  turns.push(
    await took(async () => {
      await eye.clicks("Next");
      await eye.reads(`${n * 100 + 1} to`, ".pager");
    }),
  );
figures["to the next part, ms"] = middle(turns);

figures["a search, ms"] = await took(async () => {
  await eye.types("q", "user-4321");
  await eye.rows(1);
});
await eye.types("q", "user-");
await eye.rows(100);

for (const screen of ["/connections", ""]) {
  await eye.goes(screen);
  await eye.sees(screen ? "tbody tr" : ".event");
  const before = await heap(eye.page);
  const session = await eye.page.createCDPSession();
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const busy = await tasks(session);
  const { frames, worst } = await eye.page.evaluate(watch, WATCHED_MS);
  const share = (((await tasks(session)) - busy) * 1000) / WATCHED_MS;
  const name = screen || "/overview";
  figures[`${name}: frames a second while scrolling`] = Math.round((frames * 1000) / WATCHED_MS);
  figures[`${name}: longest frame, ms`] = Math.round(worst);
  figures[`${name}: share of a processor while scrolling`] = `${Math.round(share * 100)} %`;
  figures[`${name}: heap, MB`] = `${before} to ${await heap(eye.page)}`;
  figures[`${name}: elements`] = await eye.page.$$eval("*", (all) => all.length);
}
await browser.close();
for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(48)} ${value}\n`);

async function took(act) {
  const began = performance.now();
  await act();
  return Math.round(performance.now() - began);
}

function middle(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function heap(page) {
  const session = await page.createCDPSession();
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return (usedSize / 1e6).toFixed(1);
}

/** Return the processor time that the page's own thread has used, in seconds. */
async function tasks(session) {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration").value;
}

/** Runs in the page: scrolls up and down, and looks at each frame. */
async function watch(during) {
  const began = performance.now();
  let [frames, worst, last] = [0, 0, began];
  while (last - began < during) {
    const now = await new Promise(requestAnimationFrame);
    worst = Math.max(worst, now - last);
    last = now;
    frames += 1;
    scrollTo(0, (Math.sin(frames / 20) + 1) * 1500);
  }
  return { frames, worst };
}
