/** The processes of the Parley under test, as PARLEY_COMMAND (words in JSON) and PARLEY_DATA name it. */

import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const [program, ...words] = JSON.parse(process.env.PARLEY_COMMAND ?? "[]");

function gateway(replica) {
  const said = execFileSync(program, [...words, "status", "--json"], { encoding: "utf8" });
  return JSON.parse(said).parts.find((part) => part.name === "gateway" && part.replica === replica);
}

/** Kill a gateway, and wait until another process is there in its place. */
export async function kill(replica) {
  const { pid } = gateway(replica);
  process.kill(pid, "SIGKILL");
  for (;;) {
    const now = gateway(replica);
    if (now.ready && now.pid !== pid) return;
    await sleep(100);
  }
}
