import assert from "node:assert/strict";
import { InterruptedError, join, RefusedError, type Room } from "../src/index.js";
import type { Visit } from "./server.js";
import { next, type Stage, scripted } from "./support.js";

const member = (connectionId: string, more: object = {}) => ({
  connectionId,
  userId: null,
  deviceId: null,
  metadata: {},
  availability: "online",
  polite: true,
  ...more,
});

const joined = (position: number, members: object[], more: object = {}) => ({
  room: "r",
  epoch: "e1",
  position,
  members,
  recovered: false,
  missed: [],
  ...more,
});

const chat = (position: number, text: string, more: object = {}) => ({
  type: "chat",
  room: "r",
  position,
  id: `id-${text}`,
  from: "b",
  userId: null,
  text,
  data: null,
  time: "2026-01-31T12:00:00.000Z",
  ...more,
});

/** Be `a`, in the room `r` with `b`, at position 2. */
async function together(stage: Stage): Promise<{ room: Room; visit: Visit }> {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  await visit.grant("join", joined(2, [member("b")]));
  return { room: await joining, visit };
}

scripted("a room knows the others and not itself", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r", { metadata: { seat: 4 } });
  const request = await visit.grant("join", joined(2, [member("a"), member("b")]));
  const room = await joining;

  assert.deepEqual(request.metadata, { seat: 4 });
  assert.deepEqual([...room.members.keys()], ["b"]);
  assert.deepEqual(room.place, { epoch: "e1", position: 2 });
});

scripted("a refused join rejects with the server's code", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "room_full", message: "Eight are here already." });

  await assert.rejects(joining, (error) => error instanceof RefusedError && error.code === "room_full");
});

scripted("members come, change and go", async (stage) => {
  const { room, visit } = await together(stage);
  const story: string[] = [];
  room.on("joined", ({ connectionId }) => story.push(`${connectionId} came`));
  room.on("changed", ({ connectionId, availability }) => story.push(`${connectionId} is ${availability}`));
  room.on("left", ({ member: { connectionId }, reason }) => story.push(`${connectionId} went: ${reason}`));
  const end = next(room, "chat");
  visit.say(
    { type: "member.joined", room: "r", position: 3, member: member("c") },
    { type: "member.changed", room: "r", connectionId: "c", availability: "busy", metadata: { x: 1 } },
    { type: "member.left", room: "r", position: 4, connectionId: "b", reason: "disconnected" },
    { type: "member.joined", room: "other", position: 3, member: member("d") },
    chat(5, "end"),
  );
  await end;

  assert.deepEqual(story, ["c came", "c is busy", "b went: disconnected"]);
  assert.deepEqual([...room.members.values()], [member("c", { availability: "busy", metadata: { x: 1 } })]);
});

scripted("what comes in one breath with the answer to a join is not lost", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  const { ref } = await visit.hear();
  visit.say({ type: "ok", ref, ...joined(2, []) }, chat(3, "first"), chat(4, "second"));
  const room = await joining;
  const texts: string[] = [];
  room.on("chat", ({ text }) => texts.push(text));
  visit.say(chat(5, "third"));
  while (texts.length < 3) await next(room, "chat");

  assert.deepEqual(texts, ["first", "second", "third"]);
});

scripted("what comes before anybody could listen is held", async (stage) => {
  const { connection, visit } = await stage.open("a");
  let listen = () => {};
  const ready = new Promise<void>((resolve) => {
    listen = resolve;
  });
  const joining = join(connection, "r", { ready });
  await visit.grant("join", joined(2, []));
  const room = await joining;
  visit.say(chat(3, "first"));
  const signal = next(connection, "signal");
  visit.say({ type: "signal", from: "b", data: "behind it" });
  await signal;
  listen();

  assert.equal((await next(room, "chat")).text, "first");
});

scripted("a connection that is renewed before anybody could listen joins again", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r", { ready: new Promise((resolve) => setTimeout(resolve, 50)) });
  await visit.grant("join", joined(2, []));
  await joining;
  visit.cut();
  const back = await stage.server.visit();
  back.welcome("a2");

  assert.deepEqual((await back.hear()).since, { epoch: "e1", position: 2 });
});

scripted("a frame of a known position is not applied again", async (stage) => {
  const { room, visit } = await together(stage);
  const texts: string[] = [];
  room.on("chat", ({ text }) => texts.push(text));
  visit.say(chat(3, "once"), chat(3, "twice"), chat(4, "end"));
  while (texts.at(-1) !== "end") await next(room, "chat");

  assert.deepEqual(texts, ["once", "end"]);
});

scripted("a gap is seen at once, and filled by joining again from the last place", async (stage) => {
  const { room, visit } = await together(stage);
  const texts: string[] = [];
  room.on("chat", ({ text }) => texts.push(text));
  visit.say(chat(5, "third"));
  const request = await visit.grant(
    "join",
    joined(5, [member("b")], {
      recovered: true,
      missed: [chat(3, "first"), chat(4, "second"), chat(5, "third")],
    }),
  );
  visit.say(chat(6, "fourth"));
  while (texts.length < 4) await next(room, "chat");

  assert.deepEqual(request.since, { epoch: "e1", position: 2 });
  assert.deepEqual(texts, ["first", "second", "third", "fourth"]);
});

scripted("a renewed connection joins again from its last place and sees who came and went", async (stage) => {
  const { room, visit } = await together(stage);
  const story: string[] = [];
  room.on("joined", ({ connectionId }) => story.push(`${connectionId} came`));
  room.on("left", ({ member: { connectionId } }) => story.push(`${connectionId} went`));
  room.on("chat", ({ text }) => story.push(text));
  visit.cut();

  const back = await stage.server.visit();
  back.welcome("a2");
  const rejoined = next(room, "rejoined");
  const request = await back.grant(
    "join",
    // what was left of us from before is still a member for a while, and is not shown
    joined(6, [member("a"), member("c")], { recovered: true, missed: [chat(3, "while you were away")] }),
  );

  assert.deepEqual(await rejoined, { recovered: true, renewed: true });
  assert.deepEqual(request.since, { epoch: "e1", position: 2 });
  assert.deepEqual(story, ["while you were away", "b went", "c came"]);
});

scripted("chat resolves once it is durable", async (stage) => {
  const { room, visit } = await together(stage);
  const posting = room.chat("hello", { id: "mine", data: { mood: "good" } });
  const request = await visit.grant("chat", { room: "r", id: "mine", position: 3, time: "now" });

  assert.deepEqual(
    { ...request, ref: "" },
    {
      action: "chat",
      ref: "",
      room: "r",
      id: "mine",
      text: "hello",
      data: { mood: "good" },
    },
  );
  assert.equal((await posting).position, 3);
});

scripted(
  "interrupted chat is posted again after the room, in order, unless the stream shows it",
  async (stage) => {
    const { room, visit } = await together(stage);
    const postings = [
      room.chat("one", { id: "1" }),
      room.chat("two", { id: "2" }),
      room.chat("three", { id: "3" }),
    ];
    await visit.hear();
    await visit.hear();
    await visit.hear();
    visit.cut();

    const back = await stage.server.visit();
    back.welcome("a2");
    const arrived = chat(3, "one", { id: "1", from: "a" });
    await back.grant("join", joined(4, [member("b")], { recovered: true, missed: [arrived] }));
    const again = [await back.grant("chat", { position: 5 }), await back.grant("chat", { position: 6 })];

    assert.deepEqual(
      again.map(({ id }) => id),
      ["2", "3"],
    );
    assert.deepEqual(
      (await Promise.all(postings)).map(({ position }) => position),
      [3, 5, 6],
    );
  },
);

const MESSAGES = "/v1/rooms/r/messages";

scripted(
  "what the room does not hold any more is read from history, before anything newer",
  async (stage) => {
    const { room, visit } = await together(stage);
    const texts: string[] = [];
    room.on("chat", ({ text }) => texts.push(text));
    const items = [
      { ...chat(3, "older"), epoch: "e1" },
      { ...chat(9, "old"), epoch: "e1" },
      { ...chat(301, "newer"), epoch: "e1" },
    ];
    stage.server.pages.set(MESSAGES, { status: 200, body: { items, next: null } });
    visit.cut();

    const back = await stage.server.visit();
    back.welcome("a2");
    const rejoined = next(room, "rejoined");
    await back.grant("join", joined(300, [member("b")]));
    back.say(chat(301, "newer"));
    while (texts.length < 3) await next(room, "chat");

    assert.deepEqual(await rejoined, { recovered: true, renewed: true });
    assert.deepEqual(texts, ["older", "old", "newer"]);
    assert.equal(stage.server.asked[0]?.url, `${MESSAGES}?epoch=e1&after=2&order=oldest&limit=500`);
  },
);

scripted("a gap that cannot be filled is said plainly, and chat in it is given up", async (stage) => {
  const { room, visit } = await together(stage);
  const posting = room.chat("perhaps");
  await visit.hear();
  visit.cut();

  const back = await stage.server.visit();
  back.welcome("a2");
  const rejoined = next(room, "rejoined");
  await back.grant("join", joined(300, [member("b")]));

  assert.deepEqual(await rejoined, { recovered: false, renewed: true });
  await assert.rejects(posting, InterruptedError);
});

scripted("a connection that is renewed while history is read joins once more", async (stage) => {
  const { visit } = await together(stage);
  const items = [{ ...chat(3, "older"), epoch: "e1" }]; // history is behind, and is asked again after a while
  stage.server.pages.set(MESSAGES, { status: 200, body: { items, next: null } });
  visit.cut();
  const second = await stage.server.visit();
  second.welcome("a2");
  await second.grant("join", joined(300, [member("b")]));
  second.cut();

  const third = await stage.server.visit();
  third.welcome("a3");
  assert.equal((await third.hear()).action, "join");
});

scripted("joining again waits where waiting helps", async (stage) => {
  const { room, visit } = await together(stage);
  visit.cut();
  const back = await stage.server.visit();
  back.welcome("a2");
  const { ref } = await back.hear();
  back.say({ type: "error", ref, code: "degraded", message: "Not now.", retryAfterMs: 1 });
  const rejoined = next(room, "rejoined");
  await back.grant("join", joined(2, [member("b")], { recovered: true }));

  assert.deepEqual(await rejoined, { recovered: true, renewed: true });
});

scripted(
  "chat that is new while the room is joined again stands behind what is posted again",
  async (stage) => {
    const { room, visit } = await together(stage);
    const postings = [room.chat("one")];
    await visit.hear();
    visit.cut();
    const back = await stage.server.visit();
    const renewed = next(room.connection, "renewed");
    back.welcome("a2");
    await renewed;
    postings.push(room.chat("two"));
    await back.grant("join", joined(2, [member("b")], { recovered: true }));
    const said = [await back.grant("chat", { position: 3 }), await back.grant("chat", { position: 4 })];
    await Promise.all(postings);

    assert.deepEqual(
      said.map(({ text }) => text),
      ["one", "two"],
    );
  },
);

scripted("members are available or dormant, as they say", async (stage) => {
  const { room, visit } = await together(stage);
  const changed = (availability: string) => ({
    type: "member.changed",
    room: "r",
    connectionId: "b",
    availability,
    metadata: {},
  });
  const seen: [string, boolean][] = [];
  for (const availability of ["available", "inCall", "busy", "away", "online"]) {
    const heard = next(room, "changed");
    visit.say(changed(availability));
    await heard;
    assert.equal(room.available.length + room.dormant.length, 1);
    seen.push([availability, room.available.length === 1]);
  }

  assert.deepEqual(seen, [
    ["available", true],
    ["inCall", true],
    ["busy", false],
    ["away", false],
    ["online", false],
  ]);
});

scripted("a connection knows the rooms that it is in", async (stage) => {
  const { room, visit } = await together(stage);
  assert.deepEqual([...room.connection.rooms], [room]);
  const leaving = room.leave();
  await visit.grant("leave");
  await leaving;

  assert.deepEqual([...room.connection.rooms], []);
});

scripted("a post is seen on its way until it is durable", async (stage) => {
  const { room, visit } = await together(stage);
  const states: string[] = [];
  room.on("post", ({ id, state }) => states.push(`${id} ${state}`));
  const posting = room.chat("hello", { id: "1", data: 7 });
  assert.deepEqual(room.posts.get("1"), { id: "1", text: "hello", data: 7, state: "sending" });
  await visit.grant("chat", { room: "r", id: "1", position: 3, time: "now" });
  await posting;

  assert.deepEqual(states, ["1 sending", "1 sent"]);
  assert.deepEqual(room.posts.get("1"), {
    id: "1",
    text: "hello",
    data: 7,
    state: "sent",
    position: 3,
    time: "now",
  });
});

scripted("a post that fails says why, and can be posted again", async (stage) => {
  const { room, visit } = await together(stage);
  const posting = room.chat("hello", { id: "1" });
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "not_allowed", message: "Not in this room." });
  await assert.rejects(posting, { code: "not_allowed" });
  const failed = room.posts.get("1");
  const again = room.chat("hello", { id: "1" });
  await visit.grant("chat", { room: "r", id: "1", position: 3, time: "now" });
  await again;

  assert.deepEqual([failed?.state, failed?.error?.message], ["failed", "Not in this room."]);
  assert.equal(room.posts.get("1")?.state, "sent");
});

scripted("of settled posts the last thousand are known", async (stage) => {
  const { room, visit } = await together(stage);
  const posts = 1100;
  for (let done = 0; done < posts; done += 100) {
    const hundred = Array.from({ length: 100 }, (_, at) => room.chat("x", { id: `${done + at}` }));
    for (const _ of hundred) await visit.grant("chat", { room: "r", id: "?", position: 3, time: "now" });
    await Promise.all(hundred);
  }

  assert.equal(room.posts.size, 1000);
  assert.ok(room.posts.has(`${posts - 1}`) && !room.posts.has("0"));
});

/** A page of history, the newest first as REST has it. */
const past = (next: string | null, ...items: object[]) => ({ status: 200, body: { items, next } });
const told = (position: number, text: string, epoch = "e1") => ({ ...chat(position, text), epoch });
const texts = ({ messages }: { messages: readonly { text: string }[] }) => messages.map(({ text }) => text);

scripted("history pages backwards from where this client joined", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  await visit.grant("join", joined(9, [member("b")]));
  const room = await joining;
  stage.server.pages.set(MESSAGES, past("more", told(7, "four"), told(5, "three")));
  const first = room.history({ limit: 2 });
  await visit.grant("join", joined(9, [member("b")], { recovered: true, missed: [chat(7, "four")] }));
  assert.deepEqual([texts(await first), (await first).more], [["three", "four"], true]);
  stage.server.pages.set(MESSAGES, past(null, told(2, "two"), told(8, "one", "e0")));
  const second = await room.history({ limit: 2 });

  assert.deepEqual([texts(second), second.more], [["one", "two"], false]);
  assert.deepEqual(
    stage.server.asked.map(({ url }) => new URLSearchParams(url.split("?")[1]).toString()),
    ["order=newest&limit=2", "order=newest&limit=2&epoch=e1&before=5"],
  );
});

scripted("what history does not know yet comes from the room itself, and once", async (stage) => {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  await visit.grant("join", joined(9, [member("b")]));
  const room = await joining;
  stage.server.pages.set(MESSAGES, past(null, told(6, "known"), told(5, "older")));
  const reading = room.history({ limit: 3 });
  const missed = [chat(5, "older"), chat(6, "known"), chat(7, "late"), chat(8, "later"), chat(10, "after")];
  const request = await visit.grant("join", joined(10, [member("b")], { recovered: true, missed }));
  const page = await reading;

  assert.deepEqual(request.since, { epoch: "e1", position: 0 });
  assert.deepEqual(texts(page), ["known", "late", "later"]);
  assert.equal(page.more, true, "what did not fit is on the next page");
  stage.server.pages.set(MESSAGES, past(null, told(5, "older")));
  assert.deepEqual(texts(await room.history({ limit: 3 })), ["older"]);
  assert.match(stage.server.asked[1]?.url ?? "", /before=6/);
});

scripted("pages that are asked for at once follow one another", async (stage) => {
  const { room, visit } = await together(stage);
  stage.server.pages.set(MESSAGES, past("more", told(1, "one")));
  const pages = [room.history({ limit: 1 }), room.history({ limit: 1 })];
  await visit.grant("join", joined(2, [member("b")]));
  await Promise.all(pages);

  assert.deepEqual(
    stage.server.asked.map(({ url }) => new URLSearchParams(url.split("?")[1]).get("before")),
    [null, "1"],
  );
});

scripted("what was said since one joined is not read as history", async (stage) => {
  const { room, visit } = await together(stage);
  stage.server.pages.set(`${MESSAGES}?order=newest&limit=2`, past("more", told(4, "later"), told(3, "late")));
  stage.server.pages.set(MESSAGES, past(null, told(1, "one")));
  const reading = room.history({ limit: 2 });
  await visit.grant("join", joined(4, [member("b")]));

  assert.deepEqual(texts(await reading), ["one"]);
  assert.match(stage.server.asked[1]?.url ?? "", /epoch=e1&before=2$/);
});

scripted("history that can't be read says so, and is asked the same again", async (stage) => {
  const { room, visit } = await together(stage);
  const body = { code: "not_allowed", message: "Your token does not let you read here." };
  stage.server.pages.set(MESSAGES, { status: 403, body });
  const reading = room.history();
  await visit.grant("join", joined(2, [member("b")]));
  await assert.rejects(reading, (error) => error instanceof RefusedError && error.code === "not_allowed");
  stage.server.pages.set(MESSAGES, past(null, told(1, "one")));
  const again = room.history();
  await visit.grant("join", joined(2, [member("b")]));

  assert.deepEqual(texts(await again), ["one"]);
});

scripted("an epoch that history has not heard of yet is behind all that it has", async (stage) => {
  const { room, visit } = await together(stage);
  const unknown = { status: 404, body: { code: "not_found", message: "No such epoch." } };
  stage.server.pages.set(MESSAGES, unknown);
  stage.server.pages.set(
    `${MESSAGES}?order=newest&limit=50`,
    past(null, told(4, "new"), told(8, "old", "e0")),
  );
  const reading = room.history();
  await visit.grant("join", joined(2, [member("b")]));

  assert.deepEqual(texts(await reading), ["old"]);
});

scripted("history before a place is read from there", async (stage) => {
  const { room } = await together(stage);
  stage.server.pages.set(MESSAGES, past(null, told(6, "one")));
  const page = await room.history({ before: { epoch: "e0", position: 7 }, limit: 1000 });

  assert.deepEqual(texts(page), ["one"]);
  assert.equal(stage.server.asked[0]?.url, `${MESSAGES}?order=newest&limit=1000&epoch=e0&before=7`);
});

scripted("a member that was removed is out, and is told so", async (stage) => {
  const { room, visit } = await together(stage);
  const removed = next(room, "removed");
  visit.say({ type: "member.left", room: "r", position: 3, connectionId: "a", reason: "removed" });

  assert.equal((await removed).code, "removed");
});

scripted("a member that had expired joins again", async (stage) => {
  const { visit } = await together(stage);
  visit.say({ type: "member.left", room: "r", position: 3, connectionId: "a", reason: "expired" });

  assert.equal((await visit.hear()).action, "join");
});

scripted("leaving a room that one is no member of is no error", async (stage) => {
  const { room, visit } = await together(stage);
  const leaving = room.leave();
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "not_member", message: "You are not in this room." });

  await leaving;
});
