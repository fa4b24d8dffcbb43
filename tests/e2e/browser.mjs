/**
 * A real Chromium with fake cameras and microphones.
 *
 * The system's is used if CHROMIUM names it. Otherwise it comes out of the npm package
 * @sparticuz/chromium, with the few libraries that it needs beyond libc and with a font, so
 * nothing has to be installed on the machine and nobody has to be root.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const HERE = dirname(fileURLToPath(import.meta.url));
const CACHE = join(HERE, "node_modules", ".cache");
const UNPACKED = join(CACHE, "chromium-147");

const FLAGS = [
  "--no-sandbox", // which root can't have
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];

/** Candidates say where a browser really is, instead of names that only it can look up: network.mjs stands in between. */
export const PLAIN_ADDRESSES =
  "--disable-features=WebRtcHideLocalIpsWithMdns,AudioServiceOutOfProcess,IsolateOrigins,site-per-process";

/** Flags of the package for machines of one process, which media need more of. */
const NOT_FOR_MEDIA = ["--single-process", "--no-zygote"];

/** Flags of the package that switch off what tests of a page's safety rely on. */
const UNSAFE = ["--disable-web-security", "--allow-running-insecure-content"];

/** Its own fonts and no others: pages look alike everywhere. Without any Chromium ends at the first letter. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(UNPACKED, "fonts", "fonts")}</dir>
  <cachedir>${join(UNPACKED, "fonts", "cache")}</cachedir>
</fontconfig>
`;

/** Start the browser, with more flags if wanted. */
export function launch(...more) {
  const system = process.env.CHROMIUM;
  const flags = [...FLAGS, ...more];
  if (system) return puppeteer.launch({ executablePath: system, headless: true, args: flags, pipe: true });
  if (!existsSync(UNPACKED)) unpack();
  const args = chromium.args.filter((flag) => ![...NOT_FOR_MEDIA, ...UNSAFE].includes(flag));
  return puppeteer.launch({
    executablePath: join(UNPACKED, "chromium"),
    headless: "shell",
    args: [...args, ...flags],
    pipe: true, // it ends with us, however we end
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(UNPACKED, "al2023", "lib"),
      FONTCONFIG_PATH: join(UNPACKED, "fonts"),
    },
  });
}

/** Unpack the browser completely or not at all: several tests may start at the same time. */
function unpack() {
  mkdirSync(CACHE, { recursive: true });
  const target = mkdtempSync(join(CACHE, "chromium-"));
  const script = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();';
  execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: HERE,
    // It unpacks into TMPDIR, and its libraries only where it takes the machine for Amazon Linux, which
    // this variable says. They do well on other systems too.
    env: { ...process.env, TMPDIR: target, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs20.x" },
  });
  writeFileSync(join(target, "fonts", "fonts.conf"), FONTS);
  try {
    renameSync(target, UNPACKED);
  } catch {
    rmSync(target, { recursive: true }); // somebody else was faster
  }
}
