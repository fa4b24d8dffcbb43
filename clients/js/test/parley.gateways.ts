/**
 * The client with a real Parley that loses its gateways.
 *
 * PARLEY_URL names the front door, PARLEY_COMMAND (words in JSON) and PARLEY_DATA an instance of two gateways
 * that is the test's own: its processes are killed.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import {
  type Connection,
  type ConnectionState,
  connect,
  join,
  newId,
  type Room,
  type WebSocketConstructor,
} from "../src/index.js";
import { next } from "./support.js";

const url = process.env.PARLEY_URL ?? "";
const [program = "", ...words] = JSON.parse(process.env.PARLEY_COMMAND ?? "[]") as string[];
assert.ok(url && program, "Say in PARLEY_URL and PARLEY_COMMAND where Parley is and how to ask about it.");

/** Frames that rooms keeps for those who come back. */
const WINDOW = 128;
const LIMIT = { timeout: 90_000 };
const NOWHERE = "ws://127.0.0.1:1";

interface Part {
  readonly name: string;
  readonly replica: number;
  readonly pid: number;
  readonly ready: boolean;
}

function gateways(): Part[] {
  const said = execFileSync(program, [...words, "status", "--json"], { encoding: "utf8" });
  return (JSON.parse(said) as { parts: Part[] }).parts.filter(({ name }) => name === "gateway");
}

/** End a gateway, and wait until another process is there in its place. */
async function end(replica: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const { pid } = gateways()[replica] as Part;
  process.kill(pid, signal);
  for (;;) {
    const now = gateways()[replica] as Part;
    if (now.ready && now.pid !== pid) return;
    await sleep(100);
  }
}

const connections: Connection[] = [];
after(() => {
  for (const connection of connections) connection.close();
});

interface Somebody {
  readonly connection: Connection;
  readonly id: string;
  readonly states: ConnectionState[];
  /** Pull the cable, and put it back. */
  readonly cable: { pull(): void; plug(): void };
}

async function somebody(): Promise<Somebody> {
  let plugged = true;
  const sockets: WebSocket[] = [];
  class Cable extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(plugged ? address : NOWHERE, protocols);
      sockets.push(this);
    }
  }
  const backoff = { firstMs: 100, capMs: 500 };
  const connection = connect({ url, backoff, WebSocket: Cable as unknown as WebSocketConstructor });
  connections.push(connection);
  const states: ConnectionState[] = [];
  connection.on("state", (state) => states.push(state));
  await connection.opened();
  return {
    connection,
    id: connection.connectionId as string,
    states,
    cable: {
      pull() {
        plugged = false;
        for (const socket of sockets) socket.terminate();
      },
      plug() {
        plugged = true;
      },
    },
  };
}

/** Somebody who counts aloud in every way there is, and writes down what the others say. */
class Talker {
  said = 0;
  readonly heard = new Map<string, number[]>();
  readonly others: string[] = [];

  constructor(
    readonly who: Somebody,
    readonly room: Room,
  ) {
    room.on("chat", ({ from, text }) => this.#note("chat", from as string, Number(text)));
    room.on("message", ({ from, data }) => this.#note("message", from as string, data as number));
    who.connection.on("signal", ({ from, data }) => this.#note("signal", from, data as number));
  }

  async count(all: Talker[], enough: AbortSignal): Promise<void> {
    while (!enough.aborted) {
      const number = this.said;
      this.said += 1;
      await Promise.all([
        this.room.chat(String(number)),
        this.room.send(number),
        ...all.filter((other) => other !== this).map(({ who }) => this.who.connection.signal(who.id, number)),
      ]);
    }
  }

  #note(how: string, from: string, number: number): void {
    const key = `${how} from ${from}`;
    const numbers = this.heard.get(key) ?? [];
    this.heard.set(key, numbers);
    numbers.push(number);
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`the end of either gateway (${signal}) loses, doubles and reorders nothing`, LIMIT, async () => {
    const name = newId();
    const talkers: Talker[] = [];
    const asked: string[] = [];
    const left: string[] = [];
    for (let number = 0; number < 4; number += 1) {
      const who = await somebody();
      who.connection.on("goAway", ({ reason }) => asked.push(reason));
      const room = await join(who.connection, name);
      room.on("left", ({ member }) => left.push(member.connectionId));
      talkers.push(new Talker(who, room));
    }
    const enough = new AbortController();
    const counting = Promise.all(talkers.map((talker) => talker.count(talkers, enough.signal)));
    const [first] = talkers as [Talker];
    for (const replica of [0, 1]) {
      const before = first.said;
      await until(() => first.said > before + 5);
      await end(replica, signal);
    }
    const before = first.said;
    await until(() => first.said > before + 5);
    enough.abort();
    await counting;
    const expected = (listener: Talker) =>
      talkers.flatMap(({ who, said }) =>
        ["chat", "message", "signal"]
          .filter((how) => how === "chat" || who !== listener.who)
          .map((how) => [`${how} from ${who.id}`, [...Array(said).keys()]] as const),
      );
    const complete = (talker: Talker) =>
      expected(talker).every(([key, numbers]) => (talker.heard.get(key)?.length ?? 0) >= numbers.length);
    await until(() => talkers.every(complete));

    for (const talker of talkers) {
      assert.deepEqual(Object.fromEntries(talker.heard), Object.fromEntries(expected(talker)));
      assert.equal(talker.who.connection.connectionId, talker.who.id);
    }
    assert.ok(talkers.some(({ who }) => who.states.includes("reconnecting")));
    assert.equal(asked.length > 0, signal === "SIGTERM");
    assert.deepEqual(left, []);
  });
}

for (const count of [20, 2 * WINDOW]) {
  test(`who was away for too long still gets all ${count} chats in order`, LIMIT, async () => {
    const name = newId();
    const [ana, ben] = [await somebody(), await somebody()];
    const anas = await join(ana.connection, name);
    const bens = await join(ben.connection, name);
    const texts: string[] = [];
    anas.on("chat", ({ text }) => texts.push(text));
    const rejoined = next(anas, "rejoined");
    const left = next(bens, "left");
    ana.cable.pull();
    const { reason } = await left;
    for (let number = 0; number < count; number += 1) await bens.chat(String(number));
    const back = next(bens, "joined");
    const posting = anas.chat("am I back?");
    ana.cable.plug();
    await posting;

    await until(() => texts.length > count);
    assert.equal(reason, "expired");
    assert.deepEqual(await rejoined, { recovered: true, renewed: true });
    assert.deepEqual(texts, [...Array(count).keys()].map(String).concat("am I back?"));
    assert.notEqual(ana.connection.connectionId, ana.id);
    assert.equal((await back).connectionId, ana.connection.connectionId);
    assert.deepEqual([...anas.members.keys()], [ben.id]);
  });
}
