/** When a token is replaced. Time is the test's own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { InterruptedError, RefusedError } from "../src/index.js";
import { expiryOf, Token, type TokenSource } from "../src/token.js";
import { expiring, jwt } from "./jwt.js";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const MINUTE = 60_000;

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW }));
afterEach(() => mock.timers.reset());

/** Let that much time pass, and then everything happen that follows from it. */
async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

async function held(source: TokenSource, take: (token: string) => Promise<unknown> = async () => {}) {
  const told: string[] = [];
  const failures: Error[] = [];
  const token = new Token(source, {
    fresh: (fresh) => {
      told.push(fresh);
      return take(fresh);
    },
    failed: (error) => failures.push(error),
  });
  await token.fresh();
  return { token, told, failures };
}

/** A source of tokens that live that long from when they are given. */
function tokens(lifeMs: number): { source: () => string; given: string[] } {
  const given: string[] = [];
  const source = () => {
    given.push(expiring(Date.now() + lifeMs, `${given.length}`));
    return given.at(-1) ?? "";
  };
  return { source, given };
}

test("what a token says about its end is read, and of what is no token nothing", () => {
  assert.equal(expiryOf(jwt({ exp: 1_700_000_000 })), 1_700_000_000_000);
  for (const text of ["", "a", "a.b.c", "a.bnVsbA.c", jwt({}), jwt({ exp: "soon" }), jwt({ exp: null })])
    assert.equal(expiryOf(text), undefined, text);
});

test("a token is replaced when four fifths of its life are over, again and again", async () => {
  const { source, given } = tokens(10 * MINUTE);
  const { token, told } = await held(source);
  token.keep(new Date().toISOString());
  await pass(8 * MINUTE - 1);
  assert.deepEqual(told, []);
  await pass(1);
  assert.deepEqual(told, [given[1]]);
  await pass(8 * MINUTE);

  assert.deepEqual(told, [given[1], given[2]]);
});

test("it is the server's clock that counts", async () => {
  const { token, told } = await held(() => expiring(NOW + 10 * MINUTE));
  token.keep(new Date(NOW + 5 * MINUTE).toISOString());
  await pass(4 * MINUTE);

  assert.equal(told.length, 1);
});

test("a fresh token that can't be had is said, and tried again while the old one lasts", async () => {
  let away = false;
  const { token, told, failures } = await held(() => {
    if (away) throw new Error("away");
    return expiring(NOW + 20 * MINUTE);
  });
  token.keep(new Date().toISOString());
  away = true;
  await pass(16 * MINUTE);
  assert.deepEqual(failures, [new Error("away")]);
  away = false;
  await pass(MINUTE);

  assert.equal(told.length, 1);
  assert.equal(failures.length, 1);
});

test("a fresh token that is refused is said, and another is tried after the time that the server names", async () => {
  const answers = [new RefusedError("degraded", "Not now.", 90_000), undefined];
  const { source, given } = tokens(10 * MINUTE);
  const { token, told, failures } = await held(source, async () => {
    const answer = answers.shift();
    if (answer) throw answer;
  });
  token.keep(new Date().toISOString());
  await pass(8 * MINUTE);
  assert.equal(await token.current(), given[0], "what was refused is not used elsewhere");
  await pass(89_999);
  assert.equal(told.length, 1);
  await pass(1);

  assert.equal(told.length, 2);
  assert.equal(failures.length, 1);
});

test("a connection that is another one by now has a fresh token already", async () => {
  const { source } = tokens(10 * MINUTE);
  const { token, told, failures } = await held(source, async () => {
    throw new InterruptedError();
  });
  token.keep(new Date().toISOString());
  await pass(8 * MINUTE);
  await pass(20 * MINUTE);

  assert.deepEqual([told.length, failures.length], [1, 0]);
});

test("while there is nobody to tell nothing is fetched", async () => {
  const { source, given } = tokens(10 * MINUTE);
  const { token } = await held(source);
  token.keep(new Date().toISOString());
  token.stop();
  await pass(60 * MINUTE);

  assert.equal(given.length, 1);
});

test("a token that is only a text, or says nothing about its end, is left alone", async () => {
  for (const source of [expiring(NOW + MINUTE), () => "opaque"] as TokenSource[]) {
    const { token, told } = await held(source);
    token.keep(new Date().toISOString());
    await pass(60 * MINUTE);
    assert.deepEqual(told, []);
  }
});

test("a token that lives for months does not make the timer run at once", async () => {
  const { token, told } = await held(tokens(90 * 24 * 60 * MINUTE).source);
  token.keep(new Date().toISOString());
  await pass(MINUTE);

  assert.deepEqual(told, []);
});

test("REST is asked with the token that is held, as long as it is good", async () => {
  const { source, given } = tokens(10 * MINUTE);
  const { token } = await held(source);
  assert.equal(await token.current(), given[0]);
  await pass(9 * MINUTE);
  assert.equal(await token.current(), given[0]);
  await pass(MINUTE);

  assert.equal(await token.current(), given[1]);
});

test("who asks for a token at the same time is given the same", async () => {
  const { source, given } = tokens(10 * MINUTE);
  const token = new Token(async () => source(), { fresh: async () => {}, failed: () => {} });
  const asked = await Promise.all([token.fresh(), token.current(), token.current()]);

  assert.deepEqual(asked, [given[0], given[0], given[0]]);
  assert.equal(given.length, 1);
});
