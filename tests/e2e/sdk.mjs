/**
 * The client's own code in a page of the front door, without the call page around it.
 *
 * The page and the modules are put under the front door's address by the test, so that the REST interface
 * is of the same origin, as it is for the call page.
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { equip } from "./equipment.mjs";

const MODULES = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "clients", "js", "dist");
const PAGE = "<!doctype html><title>SDK</title><link rel='icon' href='data:,'><body></body>";
const PATIENCE = 30_000;

/** Open a page in which `sdk` is the client, and what equipment.mjs has. */
export async function openPage(context, url) {
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname === "/sdk/") return request.respond({ contentType: "text/html", body: PAGE });
    if (!pathname.startsWith("/sdk/")) return request.continue();
    const body = readFileSync(join(MODULES, pathname.slice("/sdk/".length)));
    request.respond({ contentType: "text/javascript", body });
  });
  await page.evaluateOnNewDocument(equip);
  await page.goto(new URL("/sdk/", url).href);
  await page.evaluate(async () => {
    window.sdk = await import("/sdk/index.js");
  });
  return { page, complaints };
}

/** Wait until something is so in the page; says what it was instead if it never is. */
export async function until(page, condition, ...given) {
  try {
    return await page.waitForFunction(condition, { timeout: PATIENCE, polling: 50 }, ...given);
  } catch (error) {
    throw new Error(`Not within ${PATIENCE} ms: ${condition}, given ${JSON.stringify(given)}`, {
      cause: error,
    });
  }
}
