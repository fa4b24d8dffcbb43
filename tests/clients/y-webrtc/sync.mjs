/**
 * One process of two that write the same document: npm's y-webrtc with Node's own WebRTC, as its users run it.
 *
 *     node sync.mjs SIGNALING ROOM NAME OTHER [PASSWORD]
 *
 * Says when it listens, writes NAME into a list, says what it knows as soon as both names are there, and stays until
 * nobody listens any more.
 */

import wrtc from "@roamhq/wrtc";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket;
const { WebrtcProvider } = await import("y-webrtc");
const { Doc } = await import("yjs");

const [signaling, room, name, other, password] = process.argv.slice(2);
const doc = new Doc();
const names = doc.getArray("names");
const provider = new WebrtcProvider(room, doc, {
  signaling: [signaling],
  password: password ?? null,
  filterBcConns: false,
  peerOpts: { wrtc },
});

provider.signalingConns[0].on("connect", () => process.stdout.write("listening\n"));
names.push([name]);
await new Promise((resolve) => {
  const look = () => names.toArray().includes(other) && resolve();
  names.observe(look);
  look();
});
process.stdout.write(
  `${JSON.stringify({ names: names.toArray().sort(), peers: provider.room.webrtcConns.size })}\n`,
);
for await (const _ of process.stdin);
process.exit(0); // native WebRTC has threads that do not end by themselves
