/** Somebody at the call page. What is seen and done here is what a user would see and do. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PATIENCE = { timeout: 30_000 };

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

/**
 * Open the lobby of a room in a browser profile of its own. `before` runs in the page ahead of its scripts; of a list
 * the rest is what it is given.
 */
export async function arrive(
  browser,
  { url, room, name, viewport = DESKTOP, scheme = "light", before, token },
) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  if (before) await page.evaluateOnNewDocument(...[before].flat());
  const address = new URL("/", url);
  address.searchParams.set("room", room);
  if (token) address.hash = `token=${token}`;
  await page.goto(address.href);
  const field = await page.waitForSelector("input[name=name]", PATIENCE);
  await field.focus();
  await page.keyboard.sendCharacter(name);
  return new Guest(page, name, complaints);
}

export class Guest {
  constructor(page, name, complaints) {
    this.page = page;
    this.name = name;
    /** Uncaught errors, and what the browser writes in red. */
    this.complaints = complaints;
  }

  async join() {
    await this.page.click("button[type=submit]");
    await this.sees(".call");
  }

  /** Be in the room without being in its call. */
  async joinChat() {
    await this.says("Chat only");
    await this.sees(".call");
  }

  async sees(selector) {
    return this.page.waitForSelector(selector, { ...PATIENCE, visible: true });
  }

  async seesNot(selector) {
    return this.page.waitForSelector(selector, { ...PATIENCE, hidden: true });
  }

  /** Wait until a text can be read inside an element. */
  async reads(text, selector = "body") {
    await this.page.waitForFunction(
      (selector, text) =>
        [...document.querySelectorAll(selector)].some((element) => element.textContent.includes(text)),
      PATIENCE,
      selector,
      text,
    );
  }

  /** Wait until the picture of a member has moved on by some frames. */
  async watches(name, frames = 5) {
    await this.page.waitForFunction(
      (name, frames) => {
        const video = [...document.querySelectorAll(".tile")]
          .find((tile) => tile.dataset.name === name)
          ?.querySelector("video");
        if (!video?.videoWidth) return false;
        const shown = video.getVideoPlaybackQuality().totalVideoFrames;
        video.since ??= shown;
        return shown >= video.since + frames;
      },
      PATIENCE,
      name,
      frames,
    );
  }

  async writes(text) {
    if (!(await this.page.$(".chat"))) await this.presses("Chat");
    await this.page.focus("input[name=message]");
    await this.page.keyboard.sendCharacter(text);
    await this.page.keyboard.press("Enter");
  }

  /** What a screen reader would say by itself, so far. */
  async hears(text) {
    await this.reads(text, "[aria-live=polite]");
  }

  /** Choose one of a list, which has this name. */
  async chooses(name, option) {
    const list = await this.page.waitForSelector(`::-p-aria([name="${name}"][role="combobox"])`, PATIENCE);
    const value = await list.evaluate(
      (select, option) => [...select.options].find(({ text }) => text.includes(option))?.value,
      option,
    );
    await list.select(value);
  }

  /** What axe has against the page as it is now, a line each. */
  async barriers() {
    await this.page.evaluate(AXE);
    return this.page.evaluate(async () => {
      // of a colour that is on its way to another nobody can say what it is
      await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
      );
    });
  }

  /** Press the button with these words on it. */
  async says(words) {
    const button = await this.page.waitForSelector(`::-p-xpath(//button[contains(., "${words}")])`, {
      ...PATIENCE,
      visible: true,
    });
    await button.click();
  }

  /** Press the button with this name. */
  async presses(name) {
    await (await this.sees(`button[aria-label^="${name}"]`)).click();
  }
}
