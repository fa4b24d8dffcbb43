/// <reference lib="dom" preserve="true" />

/**
 * Parley in a browser, or in Node.
 *
 * Three layers, each usable alone: a connection that comes back (`connect`), rooms (`join`),
 * and calls (`joinCall`).
 *
 *     const connection = connect({ url: "wss://calls.example.com", token });
 *     const call = await joinCall(connection, "team", { stream });
 *     call.on("peer", ({ connectionId, stream }) => show(connectionId, stream));
 *     await call.room.chat("hello");
 *
 * @module
 */

export { Call, type CallEvents, type CallOptions, joinCall } from "./call.js";
export {
  Connection,
  type ConnectionEvents,
  type ConnectionState,
  type ConnectOptions,
  connect,
} from "./connection.js";
export type { Emitter } from "./emitter.js";
export { ClosedError, type ErrorCode, InterruptedError, ParleyError, RefusedError } from "./errors.js";
export type {
  Answers,
  Availability,
  Chat,
  Degraded,
  GoAway,
  Joined,
  LeaveReason,
  Member,
  MemberChanged,
  MemberJoined,
  MemberLeft,
  Message,
  Metadata,
  Ok,
  PeerReport,
  Place,
  Pong,
  Positioned,
  Posted,
  Request,
  RoomFrame,
  Signal,
} from "./frames.js";
export type { HistoryPage, PastChat } from "./history.js";
export { fetchIceServers } from "./ice.js";
export { newId } from "./ids.js";
export {
  Invitation,
  type InvitationAnswer,
  type InvitationEvents,
  type InvitationState,
  type InviteOptions,
  type SentInvitation,
} from "./invitation.js";
export type { WebSocketConstructor, WebSocketLike } from "./line.js";
export { willing } from "./membership.js";
export type { SignalData } from "./negotiation.js";
export type { Kind } from "./outgoing.js";
export type { Unwilling } from "./participation.js";
export { Peer } from "./peer.js";
export type { Post } from "./posts.js";
export type { Quality, Score } from "./quality.js";
export { type Backoff, mayReconnect, waitBefore } from "./reconnect.js";
export type { TraceSource } from "./requests.js";
export type { HistoryOptions } from "./room.js";
export { type JoinOptions, join, Room, type RoomEvents } from "./room.js";
export type { PeerSummary, Summary } from "./summary.js";
export type { TokenSource } from "./token.js";
