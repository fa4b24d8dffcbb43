/**
 * Calls of the management API, made with one of AWS's SDKs, and what a program sees of each.
 *
 *     node manage.mjs v3 < {"accessKeyId", "secretAccessKey", "calls": [{"call": "post", "endpoint", "id", "data"}]}
 *
 * Prints a list: {"ok": what the SDK returned} or {"error": {name, status, message, typed}} for each call.
 */
import { text } from "node:stream/consumers";

const [sdk] = process.argv.slice(2);
const { accessKeyId, secretAccessKey, calls } = JSON.parse(await text(process.stdin));
const settings = { region: "us-east-1", credentials: { accessKeyId, secretAccessKey } };
const call = await { v2, v3 }[sdk]();
const seen = [];
for (const each of calls) {
  seen.push(await call(each));
}
process.stdout.write(JSON.stringify(seen));

async function v3() {
  const aws = await import("@aws-sdk/client-apigatewaymanagementapi");
  const commands = {
    post: aws.PostToConnectionCommand,
    get: aws.GetConnectionCommand,
    delete: aws.DeleteConnectionCommand,
  };
  return async ({ call, endpoint, id, data }) => {
    const client = new aws.ApiGatewayManagementApiClient({ ...settings, endpoint, maxAttempts: 1 });
    try {
      const { $metadata, ...ok } = await client.send(new commands[call]({ ConnectionId: id, Data: data }));
      return { ok, status: $metadata.httpStatusCode };
    } catch (error) {
      const typed = error.name in aws && error instanceof aws[error.name];
      return {
        error: { name: error.name, status: error.$metadata?.httpStatusCode, message: error.message, typed },
      };
    }
  };
}

async function v2() {
  process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
  const { default: aws } = await import("aws-sdk");
  const methods = { post: "postToConnection", get: "getConnection", delete: "deleteConnection" };
  return async ({ call, endpoint, id, data }) => {
    const client = new aws.ApiGatewayManagementApi({ ...settings, endpoint, maxRetries: 0 });
    const request = client[methods[call]]({ ConnectionId: id, ...(call === "post" && { Data: data }) });
    try {
      const { $response, ...ok } = await request.promise();
      return { ok, status: $response.httpResponse.statusCode };
    } catch (error) {
      return { error: { name: error.code, status: error.statusCode, message: error.message } };
    }
  };
}
