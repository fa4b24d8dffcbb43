/**
 * A master and two viewers of Kinesis Video Streams, with AWS's own programs, and what each of them saw.
 *
 *     NODE_EXTRA_CA_CERTS=root.crt node signaling.mjs < {"endpoint", "accessKeyId", "secretAccessKey", "channel"}
 *
 * The first viewer comes before the master. Prints one JSON object.
 */
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import * as control from "@aws-sdk/client-kinesis-video";
import * as signaling from "@aws-sdk/client-kinesis-video-signaling";
import WebSocket from "ws";

globalThis.WebSocket = WebSocket; // the library looks for the browser's
const { Role, SignalingClient } = (await import("amazon-kinesis-video-streams-webrtc")).default;

const PATIENCE = 20_000;
const { endpoint, accessKeyId, secretAccessKey, channel } = JSON.parse(await text(process.stdin));
const credentials = { accessKeyId, secretAccessKey };
const settings = { region: "eu-west-1", credentials, endpoint, maxAttempts: 1 };
const kinesis = new control.KinesisVideoClient(settings);
const seen = {};

const { ChannelARN } = await kinesis.send(
  new control.CreateSignalingChannelCommand({ ChannelName: channel, Tags: [{ Key: "team", Value: "a" }] }),
);
const { ChannelInfo } = await kinesis.send(
  new control.DescribeSignalingChannelCommand({ ChannelName: channel }),
);
seen.described = {
  same: ChannelInfo.ChannelARN === ChannelARN,
  status: ChannelInfo.ChannelStatus,
  created:
    ChannelInfo.CreationTime instanceof Date && Math.abs(Date.now() - ChannelInfo.CreationTime) < 60_000,
};
const { Tags } = await kinesis.send(new control.ListTagsForResourceCommand({ ResourceARN: ChannelARN }));
seen.tags = Tags;
try {
  await kinesis.send(new control.DescribeSignalingChannelCommand({ ChannelName: `${channel}-none` }));
} catch (error) {
  seen.missing = [error instanceof control.ResourceNotFoundException, error.$metadata.httpStatusCode];
}
try {
  await kinesis.send(new control.CreateSignalingChannelCommand({ ChannelName: channel }));
} catch (error) {
  seen.twice = [error instanceof control.ResourceInUseException, error.$metadata.httpStatusCode];
}

async function endpoints(role) {
  const answer = await kinesis.send(
    new control.GetSignalingChannelEndpointCommand({
      ChannelARN,
      SingleMasterChannelEndpointConfiguration: { Protocols: ["WSS", "HTTPS"], Role: role },
    }),
  );
  return Object.fromEntries(
    answer.ResourceEndpointList.map((each) => [each.Protocol, each.ResourceEndpoint]),
  );
}

async function peer(role, clientId) {
  const { WSS, HTTPS } = await endpoints(role);
  const ice = new signaling.KinesisVideoSignalingClient({ ...settings, endpoint: HTTPS });
  const { IceServerList } = await ice.send(
    new signaling.GetIceServerConfigCommand({ ChannelARN, ClientId: clientId }),
  );
  return {
    ice: IceServerList,
    client: new SignalingClient({
      channelARN: ChannelARN,
      channelEndpoint: WSS,
      role: Role[role],
      region: "eu-west-1",
      credentials,
      clientId,
      systemClockOffset: kinesis.config.systemClockOffset,
    }),
  };
}

/** Opens a peer and keeps what it hears; `heard` is a list of [event, payload, sender]. */
async function opened(role, clientId) {
  const made = await peer(role, clientId);
  const heard = [];
  for (const event of ["sdpOffer", "sdpAnswer", "iceCandidate", "statusResponse"]) {
    made.client.on(event, (payload, sender) => heard.push([event, payload, sender ?? null]));
  }
  made.client.open();
  await within(once(made.client, "open"));
  return { ...made, heard };
}

function within(promise) {
  return Promise.race([promise, pause(PATIENCE, undefined, { ref: false }).then(() => fail("nothing came"))]);
}

function fail(message) {
  throw new Error(`${message}: ${JSON.stringify(seen)}`);
}

async function until(what) {
  const deadline = Date.now() + PATIENCE;
  while (!what()) {
    if (Date.now() > deadline) {
      fail(`waited in vain for ${what}`);
    }
    await pause(20);
  }
}

const candidate = (n) => ({ candidate: `candidate:${n} é`, sdpMid: "0", sdpMLineIndex: 0 });

const first = await opened("VIEWER", "viewer-1");
first.client.sendSdpOffer({ type: "offer", sdp: "v=0 first" });
first.client.sendIceCandidate(candidate(1));
first.client.sendIceCandidate(candidate(2));

const master = await opened("MASTER");
await until(() => master.heard.length === 3);
master.client.sendSdpAnswer({ type: "answer", sdp: "v=0 to first" }, "viewer-1");
master.client.sendIceCandidate(candidate(3), "viewer-1");
await until(() => first.heard.length === 2);

const second = await opened("VIEWER", "viewer-2");
second.client.sendSdpOffer({ type: "offer", sdp: "v=0 second" });
await until(() => master.heard.length === 4);
master.client.sendSdpAnswer({ type: "answer", sdp: "v=0 to second" }, "viewer-2");
await until(() => second.heard.length === 1);

master.client.sendSdpAnswer({ type: "answer", sdp: "v=0 to nobody" }, undefined, "corr-1");
await until(() => master.heard.length === 5);

const forged = new SignalingClient({
  channelARN: ChannelARN,
  channelEndpoint: (await endpoints("MASTER")).WSS,
  role: Role.MASTER,
  region: "eu-west-1",
  credentials: { accessKeyId, secretAccessKey: "another" },
});
const refused = once(forged, "error");
forged.open();
const [error] = await within(refused);
seen.forged = String(error?.message ?? error);

seen.ice = master.ice;
seen.master = master.heard;
seen.first = first.heard;
seen.second = second.heard;
for (const each of [master, first, second]) {
  each.client.close();
}
await kinesis.send(new control.DeleteSignalingChannelCommand({ ChannelARN }));
process.stdout.write(JSON.stringify(seen));
process.exit(0);
