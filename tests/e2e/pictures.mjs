/**
 * The pictures of the README: `make pictures` takes them anew.
 *
 * The tests walk the same way to the same screens, so a picture can't show what is not there any more.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";
import { tourOfConsole } from "./console-scenes.mjs";
import { tour } from "./tour.mjs";

const FOLDER = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));

/** Of the screens of the tours, those that are shown. */
const SHOWN = ["lobby", "call", "chat", "console-overview", "console-call"];

/** Larger ones make a page slow that many look at. */
const MOST_BYTES = 150_000;

export async function takePictures(browser, url) {
  const stop = async (name, { page }) => {
    if (SHOWN.includes(name)) await take(page, name);
  };
  await tour(browser, { url, room: "Monday planning" }, stop);
  await tourOfConsole(browser, { url, app: "studio" }, stop);
}

/** Write what a page shows. */
export async function take(page, name) {
  mkdirSync(FOLDER, { recursive: true });
  const path = join(FOLDER, `${name}.png`);
  const shot = await page.screenshot({ encoding: "base64" });
  const slim = Buffer.from(await slimmed(page.browser(), shot), "base64");
  writeFileSync(path, slim);
  if (slim.length > MOST_BYTES)
    throw new Error(`${path} has ${slim.length} bytes; at most ${MOST_BYTES} are bearable.`);
}

/** Return a picture with fewer shades: eyes see no difference, and the noise of videos is gone. */
async function slimmed(browser, base64) {
  const page = await browser.newPage();
  try {
    return await page.evaluate(async (base64) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
      const canvas = Object.assign(document.createElement("canvas"), {
        width: image.width,
        height: image.height,
      });
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      const pixels = pen.getImageData(0, 0, image.width, image.height);
      for (let at = 0; at < pixels.data.length; at += 1)
        pixels.data[at] = Math.round(pixels.data[at] / 5) * 5;
      pen.putImageData(pixels, 0, 0);
      return canvas.toDataURL("image/png").split(",")[1];
    }, base64);
  } finally {
    await page.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const browser = await launch();
  try {
    await takePictures(browser, process.env.PARLEY_URL ?? "http://127.0.0.1:8080");
  } finally {
    await browser.close();
  }
}
