import assert from "node:assert/strict";
import { test } from "node:test";
import { ClosedError, connect, InterruptedError, RefusedError } from "../src/index.js";
import { expiring } from "./jwt.js";
import { ScriptedServer } from "./server.js";
import { NodeWebSocket, next, scripted } from "./support.js";

scripted("a connection says who it is in the query and in the subprotocols", async ({ server, connect }) => {
  connect({ app: "shop", token: "a.b.c", metadata: { name: "Ana", deviceId: "phone" } });
  const visit = await server.visit();

  assert.deepEqual(visit.protocols, ["parley.v1", "bearer.a.b.c"]);
  assert.deepEqual(Object.fromEntries(visit.query), { app: "shop", name: "Ana", deviceId: "phone" });
});

scripted("metadata can't use the protocol's own words", async ({ connect }) => {
  assert.throws(() => connect({ metadata: { resume: "x" } }), /"resume"/);
});

scripted("requests made before the welcome wait for it, in order", async ({ server, connect }) => {
  const connection = connect();
  const first = connection.signal("b", 1);
  const second = connection.signal("b", 2);
  const visit = await server.visit();
  visit.welcome("a");

  assert.equal((await visit.grant("signal")).data, 1);
  assert.equal((await visit.grant("signal")).data, 2);
  await Promise.all([first, second]);
});

scripted("a refusal rejects the request with its code and the time to wait", async ({ open }) => {
  const { connection, visit } = await open("a");
  const request = connection.signal("b", {});
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "rate_limited", message: "Too fast.", retryAfterMs: 1000 });

  await assert.rejects(request, (error: unknown) => {
    assert.ok(error instanceof RefusedError);
    assert.deepEqual([error.code, error.message, error.retryAfterMs], ["rate_limited", "Too fast.", 1000]);
    return true;
  });
});

scripted(
  "a lost connection comes back with its token and the last n it has processed",
  async ({ server, open }) => {
    const { connection, visit } = await open("a");
    const heard = next(connection, "signal");
    visit.say({ type: "signal", from: "b", data: 1, n: 4096 });
    await heard;
    visit.cut();

    const back = await server.visit();
    assert.equal(back.query.get("resume"), "token-of-a");
    assert.equal(back.query.get("n"), "4096");
  },
);

scripted("each attempt to resume has a higher number than all before it", async ({ server, open }) => {
  const before = Date.now();
  let { visit } = await open("a");
  assert.equal(visit.query.get("attempt"), null);
  let last = before - 1;
  for (let attempt = 0; attempt < 3; attempt++) {
    visit.cut();
    visit = await server.visit();
    const number = Number(visit.query.get("attempt"));
    assert.ok(number > last, `${number} after ${last}`);
    last = number;
  }
});

scripted("a connection is one device for as long as it lasts, and no other's", async ({ server, open }) => {
  const [one, other] = [await open("a"), await open("b")];
  one.visit.cut();
  const back = await server.visit();

  assert.ok(back.query.get("deviceId"));
  assert.equal(back.query.get("deviceId"), one.visit.query.get("deviceId"));
  assert.notEqual(back.query.get("deviceId"), other.visit.query.get("deviceId"));
});

scripted("pong moves n on, so that an idle client is not too late", async ({ server, open }) => {
  const { connection, visit } = await open("a");
  const ping = connection.request({ action: "ping" });
  const { ref } = await visit.hear();
  visit.say({ type: "pong", ref, time: "", n: 9000 });
  await ping;
  visit.cut();

  assert.equal((await server.visit()).query.get("n"), "9000");
});

scripted("a frame whose n is not higher was processed already", async ({ open }) => {
  const { connection, visit } = await open("a");
  const seen: unknown[] = [];
  const last = new Promise<void>((resolve) => {
    connection.on("signal", ({ data }) => {
      seen.push(data);
      if (data === "last") resolve();
    });
  });
  visit.say(
    { type: "signal", from: "b", data: "first", n: 2 },
    { type: "signal", from: "b", data: "again", n: 2 },
    { type: "signal", from: "b", data: "older", n: 1 },
    { type: "signal", from: "b", data: "last", n: 5 },
  );
  await last;

  assert.deepEqual(seen, ["first", "last"]);
});

scripted("a resumed connection first repeats what was not answered, in order", async ({ server, open }) => {
  const { connection, visit } = await open("a");
  const answers = [connection.signal("b", 1), connection.signal("b", 2), connection.signal("b", 3)];
  await visit.grant("signal");
  await answers[0];
  const unanswered = [await visit.hear(), await visit.hear()];
  visit.cut();

  const back = await server.visit();
  answers.push(connection.signal("b", 4));
  back.welcome("a", { resumed: true });
  const repeated = [await back.grant("signal"), await back.grant("signal"), await back.grant("signal")];

  assert.deepEqual(repeated.slice(0, 2), unanswered);
  assert.equal(repeated[2]?.data, 4);
  await Promise.all(answers);
});

scripted("a request says which trace it belongs to, and says the same again", async ({ server, open }) => {
  let active = "00-1-a-01";
  const { connection, visit } = await open("a", { traceparent: () => active });
  const answers = [connection.setPresence({ availability: "available" })];
  active = "00-2-b-01";
  answers.push(connection.signal("b", 1));
  const first = [await visit.hear(), await visit.hear()];
  active = "00-3-c-01";
  visit.cut();
  const back = await server.visit();
  back.welcome("a", { resumed: true });
  const again = [await back.grant("presence"), await back.grant("signal")];
  await Promise.all(answers);

  assert.deepEqual(
    first.map(({ traceparent }) => traceparent),
    ["00-1-a-01", "00-2-b-01"],
  );
  assert.deepEqual(again, first);
});

scripted("a trace that can't be had keeps no request from being made", async ({ open }) => {
  const given: (() => unknown)[] = [
    () => undefined,
    () => ({ toJSON: () => "no text" }),
    () => {
      throw new Error("mine");
    },
  ];
  const traceparent = () => given.shift()?.() as string | undefined;
  const { connection, visit } = await open("a", { traceparent });
  for (let n = 0; n < 3; n++) {
    const signal = connection.signal("b", n);
    assert.ok(!("traceparent" in (await visit.grant("signal"))));
    await signal;
  }
});

scripted(
  "a renewed connection has another id, counts n anew and gives up what can't be repeated",
  async (stage) => {
    const { connection, visit } = await stage.open("a");
    const signal = connection.signal("b", 1);
    await visit.hear();
    visit.say({ type: "signal", from: "b", data: 0, n: 70 });
    visit.cut();

    const back = await stage.server.visit();
    const renewed = next(connection, "renewed");
    back.welcome("a2");
    await assert.rejects(signal, InterruptedError);
    const heard = next(connection, "signal");
    back.say({ type: "signal", from: "b", data: "low", n: 3 });

    assert.deepEqual(await renewed, { connectionId: "a2" });
    assert.equal(connection.connectionId, "a2");
    assert.ok(connection.isSelf("a"));
    assert.equal((await heard).data, "low");
  },
);

scripted("a renewed connection presents itself again", async ({ server, open }) => {
  const { connection, visit } = await open("a");
  const said = [
    connection.setPresence({ availability: "available", metadata: { mic: "on" } }),
    connection.setPresence({ metadata: { camera: "off" } }),
  ];
  await visit.grant("presence");
  await visit.grant("presence");
  await Promise.all(said);
  visit.cut();

  const back = await server.visit();
  back.welcome("a2");
  const { ref: _, ...presence } = await back.hear();

  assert.deepEqual(presence, {
    action: "presence",
    availability: "available",
    metadata: { mic: "on", camera: "off" },
  });
});

for (const code of [1008, 4500, 4501, 4503, 4504, 4505, 4999]) {
  scripted(`close code ${code} is final, and says why`, async ({ open }) => {
    const { connection, visit } = await open("a");
    const closed = next(connection, "closed");
    const waiting = connection.signal("b", 1);
    visit.say({ type: "error", code: "not_allowed", message: "Not with this token." });
    visit.close(code);

    const end = await closed;
    assert.deepEqual([end.closeCode, end.code, end.message], [code, "not_allowed", "Not with this token."]);
    await assert.rejects(waiting, ClosedError);
    await assert.rejects(connection.opened(), ClosedError);
    await assert.rejects(connection.signal("b", 2), ClosedError);
  });
}

for (const code of [1001, 1011, 1012, 4008, 4009, 4029, 4499]) {
  scripted(`after close code ${code} the connection comes back`, async ({ server, open }) => {
    const { visit } = await open("a");
    visit.close(code);

    assert.equal((await server.visit()).query.get("resume"), "token-of-a");
  });
}

scripted(
  "a connection asks for a token before each attempt, and outlives a failure to get one",
  async (stage) => {
    const tokens = ["first", new Error("away"), "third"];
    const token = async (): Promise<string> => {
      const given = tokens.shift();
      if (typeof given === "string") return given;
      throw given;
    };
    const { connection, visit } = await stage.open("a", { token });
    assert.equal(visit.protocols[1], "bearer.first");
    const refused = next(connection, "refused");
    visit.cut();

    assert.equal((await refused).message, "away");
    assert.equal((await stage.server.visit()).protocols[1], "bearer.third");
  },
);

scripted(
  "a token that ends soon is replaced in band: nothing is dialled anew",
  async ({ connect, server }) => {
    const given: string[] = [];
    const token = () => {
      given.push(expiring(Date.now() + (given.length === 0 ? 1000 : 60_000), `${given.length}`));
      return given.at(-1) ?? "";
    };
    const connection = connect({ token });
    const visit = await server.visit();
    visit.welcome("a", { time: new Date().toISOString() });
    const request = await visit.grant("token", { expiresAt: new Date(Date.now() + 60_000).toISOString() });

    assert.equal(request.token, given[1]);
    assert.equal(connection.state, "open");
  },
);

scripted("who outlives its token comes back with a fresh one, as the same connection", async (stage) => {
  const tokens = ["first", "second"];
  const { visit } = await stage.open("a", { token: () => tokens.shift() ?? "none" });
  visit.say({ type: "error", code: "token_expired", message: "Your token has expired." });
  visit.close(4501);

  const back = await stage.server.visit();
  assert.equal(back.protocols[1], "bearer.second");
  assert.equal(back.query.get("resume"), "token-of-a");
});

scripted("a request that came too late for the token is asked again with a fresh one", async (stage) => {
  const { connection, visit } = await stage.open("a", { token: () => "any" });
  const signal = connection.signal("b", 1);
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "token_expired", message: "Your token has expired." });
  visit.close(4501);
  const back = await stage.server.visit();
  back.welcome("a", { resumed: true });
  await back.grant("signal");

  await signal;
});

scripted("a fresh token that has expired already is of no use", async (stage) => {
  const { connection, visit } = await stage.open("a", { token: () => "stale" });
  const closed = next(connection, "closed");
  visit.close(4501);
  (await stage.server.visit()).close(4501);

  assert.equal((await closed).closeCode, 4501);
});

scripted("what the server can't do at the moment is known until it can again", async ({ open }) => {
  const { connection, visit } = await open("a");
  const said: unknown[] = [connection.degraded];
  const heard = () => next(connection, "degraded").then(() => said.push(connection.degraded?.reason));
  let word = heard();
  visit.say({ type: "degraded", reason: "The log is slow." });
  await word;
  word = heard();
  visit.say({ type: "restored", reason: "It is not." });
  await word;

  assert.deepEqual(said, [undefined, "The log is slow.", undefined]);
});

scripted("of another gateway nothing bad is known", async ({ open, server }) => {
  const { connection, visit } = await open("a");
  const bad = next(connection, "degraded");
  visit.say({ type: "degraded", reason: "The log is slow." });
  await bad;
  const good = next(connection, "degraded");
  visit.cut();
  (await server.visit()).welcome("a", { resumed: true });

  assert.equal((await good).type, "restored");
  assert.equal(connection.degraded, undefined);
});

scripted("a presence that is refused is not ours", async ({ open }) => {
  const { connection, visit } = await open("a");
  assert.equal(connection.availability, "online");
  const available = connection.setPresence({ availability: "available" });
  await visit.grant("presence");
  await available;
  const busy = connection.setPresence({ availability: "busy" });
  assert.equal(connection.availability, "busy");
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "not_allowed", message: "Not with this token." });

  await assert.rejects(busy, { code: "not_allowed" });
  assert.equal(connection.availability, "available");
});

scripted("a server that asks clients to go is left in time, and not for good", async ({ server, open }) => {
  const { visit } = await open("a");
  visit.say({ type: "goAway", reconnectAfterMs: 5, deadlineMs: 1000, reason: "rollout" });

  assert.equal(await visit.closed, 4000);
  assert.equal((await server.visit()).query.get("resume"), "token-of-a");
});

scripted("a quiet path is asked whether anybody is there", async ({ server, connect }) => {
  connect();
  const visit = await server.visit();
  visit.welcome("a", { heartbeatSeconds: 0.02 });

  assert.equal((await visit.hear()).action, "ping");
});

test("a server that is away is tried again until it is there", { timeout: 10_000 }, async () => {
  const absent = await ScriptedServer.start();
  const { port, url } = absent;
  await absent.stop();
  const connection = connect({ url, WebSocket: NodeWebSocket, backoff: { firstMs: 1, capMs: 5 } });
  const state = await next(connection, "state");
  const server = await ScriptedServer.start(port);
  (await server.visit()).welcome("a");
  await connection.opened();
  connection.close();
  await server.stop();

  assert.equal(state, "reconnecting");
});

scripted("closing tells the server so", async ({ open }) => {
  const { connection, visit } = await open("a");
  connection.close();

  assert.equal(await visit.closed, 1000);
  assert.equal(connection.state, "closed");
});

scripted("what is no frame, or of an unknown type, harms nothing", async ({ open }) => {
  const { connection, visit } = await open("a");
  for (const text of ["", "{", "[]", "7", "null", '{"type":7}', '{"type":"later"}']) visit.sayText(text);
  const signal = connection.signal("b", 1);
  await visit.grant("signal");

  await signal;
});

scripted("a backlog has a limit, and passing it has a name", async ({ connect }) => {
  const connection = connect();
  const waiting = Array.from({ length: 1000 }, () => connection.signal("b", 1));

  await assert.rejects(connection.signal("b", 1), { code: "backlog_full" });
  connection.close();
  assert.ok((await Promise.allSettled(waiting)).every(({ status }) => status === "rejected"));
});

scripted("a listener that throws keeps nothing from the others", async ({ open }) => {
  const { connection, visit } = await open("a");
  const reported: unknown[] = [];
  globalThis.reportError = (error) => reported.push(error);
  connection.on("signal", () => {
    throw new Error("mine");
  });
  const heard = next(connection, "signal");
  visit.say({ type: "signal", from: "b", data: 1, n: 1 });

  await heard;
  assert.deepEqual(reported, [new Error("mine")]);
});

scripted("REST is asked as the same client", async ({ server, connect }) => {
  server.pages.set("/v1/ice-servers", { status: 200, body: { iceServers: [], ttl: 60 } });
  const connection = connect({ app: "shop", token: "a.b.c" });
  const response = await connection.http("/v1/ice-servers");

  assert.equal(response.status, 200);
  assert.deepEqual(server.asked, [{ url: "/v1/ice-servers?app=shop", authorization: "Bearer a.b.c" }]);
});
