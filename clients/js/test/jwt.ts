/** Tokens for tests. */

import { createHmac } from "node:crypto";

/** Sign a token as a backend of the app does. */
export function jwt(claims: object, secret = "a secret that no server has"): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A token that expires at this time, in milliseconds since the epoch; `name` makes it another than its like. */
export function expiring(atMs: number, name = ""): string {
  return jwt({ exp: atMs / 1000, jti: name });
}
