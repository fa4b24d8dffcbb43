/** Somebody at the console. What is seen and done here is what an operator would see and do. */

import { Guest } from "./guest.mjs";

const PATIENCE = { timeout: 20_000 };

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

/** Open the console in a browser profile of its own, at a screen of an app. */
export async function operate(browser, { url, app, path = "", token, viewport = DESKTOP, scheme = "light" }) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const answered = message.location().url?.includes("/v1/"); // red for the browser; the page says it in words
    if (message.type() === "error" && !answered) complaints.push(message.text());
  });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const operator = new Operator(page, url, app, complaints);
  await operator.goes(path, token);
  return operator;
}

/** As patient as a guest, and as attentive. */
export class Operator extends Guest {
  constructor(page, url, app, complaints) {
    super(page, "operator", complaints);
    this.url = url;
    this.app = app;
  }

  /** Load a screen anew, as a deep link does. */
  async goes(path, token) {
    const address = new URL(`/console${path}`, this.url);
    if (this.app) address.searchParams.set("app", this.app);
    if (token) address.hash = new URLSearchParams({ token }).toString();
    await this.page.goto("about:blank"); // to a page that is there, another hash would be no way to go
    await this.page.goto(address.href);
    await this.sees("h1");
  }

  /** Follow a link by its words. */
  async follows(words) {
    await (await this.finds("a", words)).click();
  }

  /** Press the button with these words. */
  async clicks(words, within = "") {
    await (await this.finds(`${within} button`, words)).click();
  }

  async types(name, text) {
    const field = await this.sees(`input[name="${name}"]`);
    await field.click({ count: 3 });
    await this.page.keyboard.press("Backspace");
    await this.page.keyboard.sendCharacter(text);
  }

  /** Wait until a figure of the overview has a value. */
  async counts(figure, value) {
    await this.page.waitForFunction(
      (figure, value) => document.querySelector(`[data-figure="${figure}"]`)?.textContent === value,
      PATIENCE,
      figure,
      String(value),
    );
  }

  /** Wait until a table has so many rows. */
  async rows(number) {
    await this.page.waitForFunction(
      (number) => document.querySelectorAll("main > .table-frame tbody tr").length === number,
      PATIENCE,
      number,
    );
  }

  async finds(selector, words) {
    const handle = await this.page.waitForFunction(
      (selector, words) =>
        [...document.querySelectorAll(selector)].find(
          (element) => element.textContent.includes(words) && element.checkVisibility(),
        ),
      PATIENCE,
      selector,
      words,
    );
    return handle.asElement();
  }
}
