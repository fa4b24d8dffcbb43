/**
 * Kinesis Video Streams' control plane, asked with the AWS SDK for JavaScript, version 2, and what a program sees.
 *
 *     node kinesis.mjs < {"endpoint", "accessKeyId", "secretAccessKey", "channel"}
 */
import { text } from "node:stream/consumers";
import AWS from "aws-sdk";

const { channel, ...given } = JSON.parse(await text(process.stdin));
const settings = { region: "eu-west-1", maxRetries: 0, ...given };
const kinesis = new AWS.KinesisVideo(settings);
const seen = {};

const { ChannelARN } = await kinesis.createSignalingChannel({ ChannelName: channel }).promise();
const { ChannelInfo } = await kinesis.describeSignalingChannel({ ChannelName: channel }).promise();
seen.created =
  ChannelInfo.CreationTime instanceof Date && Math.abs(Date.now() - ChannelInfo.CreationTime) < 60_000;
const { ResourceEndpointList } = await kinesis
  .getSignalingChannelEndpoint({
    ChannelARN,
    SingleMasterChannelEndpointConfiguration: { Protocols: ["WSS", "HTTPS"], Role: "VIEWER" },
  })
  .promise();
seen.endpoints = ResourceEndpointList;
const endpoint = ResourceEndpointList.find((each) => each.Protocol === "HTTPS").ResourceEndpoint;
const { IceServerList } = await new AWS.KinesisVideoSignalingChannels({ ...settings, endpoint })
  .getIceServerConfig({ ChannelARN, ClientId: "viewer-1" })
  .promise();
seen.ice = IceServerList;

async function refusal(client) {
  try {
    await client.describeSignalingChannel({ ChannelName: `${channel}-none` }).promise();
  } catch (error) {
    return [error.code, error.statusCode];
  }
}

seen.missing = await refusal(kinesis);
seen.forged = await refusal(new AWS.KinesisVideo({ ...settings, secretAccessKey: "another" }));
const anHourBehind = { systemClockOffset: -3_600_000 };
seen.skewed = await refusal(new AWS.KinesisVideo({ ...settings, ...anHourBehind }));
seen.corrected = await refusal(
  new AWS.KinesisVideo({ ...settings, ...anHourBehind, correctClockSkew: true, maxRetries: 1 }),
);
await kinesis.deleteSignalingChannel({ ChannelARN }).promise();
process.stdout.write(JSON.stringify(seen));
