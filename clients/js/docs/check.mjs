/** Says whether docs/reference/sdk is what the types and their comments make of it now. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PAGE = "README.md";

const folder = mkdtempSync(join(tmpdir(), "parley-sdk-docs-"));
try {
  execFileSync(process.execPath, [here("../node_modules/typedoc/bin/typedoc"), "--out", folder], {
    cwd: here(".."),
    stdio: "inherit",
  });
  const written = readFileSync(join(here("../../../docs/reference/sdk"), PAGE), "utf8");
  if (readFileSync(join(folder, PAGE), "utf8") !== written) {
    console.error("docs/reference/sdk is not what the types say now: run `make sdk-docs`, and commit it.");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
