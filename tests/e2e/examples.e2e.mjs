/**
 * The examples of the tutorial, as somebody would try them: the page in two tabs of a real Chromium, served from a
 * folder with the built library beside it; the chat in two terminals. PARLEY_URL says where the front door is.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";

const url = process.env.PARLEY_URL;
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 60_000 };
const PATIENCE = { timeout: 30_000 };
const CLIENT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "clients", "js");
const TYPES = { ".html": "text/html", ".js": "text/javascript" };

const folder = mkdtempSync(join(tmpdir(), "parley-examples-"));
const room = `tea ${randomBytes(4).toString("hex")}`;
let server;
let browser;

before(async () => {
  cpSync(join(CLIENT, "examples"), folder, { recursive: true });
  cpSync(join(CLIENT, "dist"), join(folder, "parley-client"), { recursive: true });
  const page = join(folder, "call.js");
  writeFileSync(page, readFileSync(page, "utf8").replace("http://127.0.0.1:8080", url));
  await mkdir(join(folder, "node_modules"));
  symlinkSync(CLIENT, join(folder, "node_modules", "parley-client"));
  symlinkSync(join(CLIENT, "node_modules", "ws"), join(folder, "node_modules", "ws"));
  server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    try {
      const file = await readFile(join(folder, pathname));
      response.writeHead(200, { "content-type": TYPES[extname(pathname)] ?? "text/plain" });
      response.end(file);
    } catch {
      response.writeHead(pathname === "/favicon.ico" ? 204 : 404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  server?.close();
  rmSync(folder, { recursive: true });
});

const complaints = [];

/** Open the page in a profile of its own. */
async function visit(name) {
  const page = await (await browser.createBrowserContext()).newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  const query = new URLSearchParams({ room, name });
  await page.goto(`http://127.0.0.1:${server.address().port}/call.html?${query}`);
  return page;
}

/** Wait until as many pictures of others move. */
const watches = (page, others) =>
  page.waitForFunction(
    (others) => {
      const videos = [...document.querySelectorAll("video:not(#me)")];
      const moving = videos.filter((video) => video.currentTime > 0.5 && video.videoWidth > 0);
      return moving.length === others && videos.length === others;
    },
    PATIENCE,
    others,
  );

const reads = (page, ...lines) =>
  page.waitForFunction(
    (lines) => [...document.querySelectorAll("#said li")].map((li) => li.textContent).join() === lines,
    PATIENCE,
    lines.join(),
  );

test(
  "the page of the tutorial: two see each other, chat, and one who reloads has missed nothing",
  LIMIT,
  async () => {
    const ana = await visit("Ana");
    const ben = await visit("Ben");
    await Promise.all([watches(ana, 1), watches(ben, 1)]);
    for (const _ of ["off", "on"]) await ana.click("#microphone");
    await ana.type("input", "milk?");
    await ana.keyboard.press("Enter");
    await reads(ben, "Ana: milk?");
    await ben.reload();
    await Promise.all([watches(ana, 1), watches(ben, 1), reads(ben, "Ana: milk?")]);
    await ben.type("input", "please");
    await ben.keyboard.press("Enter");

    await reads(ana, "Ana: milk?", "Ben: please");
    assert.equal(await ana.$eval("#state", (state) => state.textContent), "");
    assert.deepEqual(complaints, []);
  },
);

test(
  "the chat of the tutorial: two terminals read the same, and who comes later what was said before",
  LIMIT,
  async () => {
    const name = `terminal ${randomBytes(4).toString("hex")}`;
    const ana = terminal(name, "Ana");
    ana.says("anybody here?");
    await ana.reads("Ana: anybody here?");
    const ben = terminal(name, "Ben");
    await ben.reads("Ana: anybody here?");
    await ana.reads("Ben is here.");
    ben.says("yes");
    await ana.reads("Ben: yes");
    assert.equal(await ben.ends(), 0);
    await ana.reads("Ben is gone.");

    assert.equal(await ana.ends(), 0);
  },
);

/** The Node example, and what it prints. */
function terminal(name, who) {
  const env = { ...process.env, PARLEY_URL: url };
  const node = spawn(process.execPath, ["chat.mjs", name, who], { cwd: folder, env });
  let said = "";
  const listeners = new Set();
  for (const stream of [node.stdout, node.stderr]) {
    stream.on("data", (data) => {
      said += data;
      for (const listener of listeners) listener();
    });
  }
  const ended = once(node, "exit");
  return {
    says: (text) => node.stdin.write(`${text}\n`),
    ends: async () => {
      node.stdin.end();
      return (await ended)[0];
    },
    reads: (text) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${who} has read only: ${said}`)), PATIENCE.timeout);
        const look = () => {
          if (!said.split("\n").includes(text)) return;
          clearTimeout(late);
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
      }),
  };
}
