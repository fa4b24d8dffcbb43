/**
 * What is said on the wire in the subprotocol `parley.v1`, as types.
 *
 * Nothing here decides anything; the words and fields are those of the
 * protocol's reference page.
 */

/**
 * How willing a member is to take part in a call. A client says `available`, `busy` or `away`, or goes back to
 * `online`, which says nothing and is so from the start; the server says `inCall` while a call lasts.
 */
export type Availability = "online" | "available" | "busy" | "away" | "inCall";

/** What a connection says about itself to the others. */
export type Metadata = Readonly<Record<string, unknown>>;

/** A place in a room's stream; `epoch` changes when the stream was started over. */
export interface Place {
  /** Which incarnation of the room: an empty one ends, and begins anew with the next member. */
  readonly epoch: string;
  /** Counts joins, leaves and chat, each by one, from 1. */
  readonly position: number;
}

/** A member as this client sees it. */
export interface Member {
  readonly connectionId: string;
  /** The subject of its token; in development what it says itself, if it says anything. */
  readonly userId: string | null;
  readonly deviceId: string | null;
  /** What it says about itself. From a stranger: show it as text. */
  readonly metadata: Metadata;
  readonly availability: Availability;
  /** This client's own role towards the member: whoever came later is polite. */
  readonly polite: boolean;
}

/** Why a member is gone. */
export type LeaveReason = "left" | "disconnected" | "replaced" | "removed" | "expired";

/** What a client asks for; `ref` is added when it is sent. */
export type Request =
  | { action: "join"; room: string; since?: Place; metadata?: Metadata }
  | { action: "leave"; room: string }
  | { action: "signal"; to: string; data: unknown }
  | { action: "send"; room: string; data: unknown }
  | { action: "chat"; room: string; id: string; text: string; data?: unknown }
  | { action: "presence"; availability?: Availability; metadata?: Metadata }
  | { action: "token"; token: string }
  | { action: "report"; room: string; peers: readonly PeerReport[] }
  | { action: "ping" };

/** How the path to one peer does, as this side measures it. Bytes and packets are those since the last report. */
export interface PeerReport {
  readonly connectionId: string;
  readonly state: RTCPeerConnectionState;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly jitterMs?: number | null;
  readonly roundTripMs?: number | null;
  readonly localCandidate?: RTCIceCandidateType | null;
  readonly remoteCandidate?: RTCIceCandidateType | null;
  /** From the start of the negotiation until media could flow. */
  readonly setupMs?: number | null;
  /** From the same start until the first media was decoded. */
  readonly firstMediaMs?: number | null;
}

export interface Welcome {
  readonly type: "welcome";
  readonly connectionId: string;
  readonly app: string;
  readonly resumeToken: string;
  readonly resumed: boolean;
  readonly heartbeatSeconds: number;
  readonly time: string;
}

/** Somebody has become a member. */
export interface MemberJoined {
  readonly type: "member.joined";
  readonly room: string;
  readonly position: number;
  readonly member: Member;
}

/** Somebody is no member any more. */
export interface MemberLeft {
  readonly type: "member.left";
  readonly room: string;
  readonly position: number;
  readonly connectionId: string;
  readonly reason: LeaveReason;
}

/** A member says something else about itself. It has no position: only the latest counts. */
export interface MemberChanged {
  readonly type: "member.changed";
  readonly room: string;
  readonly connectionId: string;
  readonly availability: Availability;
  readonly metadata: Metadata;
}

/** What somebody said in a room, for good. */
export interface Chat {
  readonly type: "chat";
  readonly room: string;
  /** Where it stands in the room's stream. */
  readonly position: number;
  /** The sender's own; unique per sender only. */
  readonly id: string;
  /** The connection that said it; `null` when a backend speaks. */
  readonly from: string | null;
  readonly userId: string | null;
  /** From a stranger: show it as text. */
  readonly text: string;
  /** Any JSON that the sender has added; from a stranger. */
  readonly data?: unknown;
  /** By the server's clock, in RFC 3339. */
  readonly time: string;
}

/** What a member said to the others with `send`, or a backend to this connection. It is not stored. */
export interface Message {
  readonly type: "message";
  /** Absent when a backend speaks to this connection alone. */
  readonly room?: string | null;
  readonly from?: string | null;
  readonly data: unknown;
}

/** What another connection said to this one alone. From a stranger: look before you trust. */
export interface Signal {
  readonly type: "signal";
  readonly from: string;
  readonly data: unknown;
}

/** What a room's position counts, each by one. */
export type Positioned = MemberJoined | MemberLeft | Chat;

/** Whatever concerns a room. */
export type RoomFrame = Positioned | MemberChanged | Message;

/** The answer to `join`. */
export interface Joined {
  readonly room: string;
  readonly epoch: string;
  readonly position: number;
  readonly members: readonly Member[];
  /** Whether `missed` is complete since the place that was asked for. */
  readonly recovered: boolean;
  readonly missed: readonly Positioned[];
}

/** The answer to `chat`: it is durable. */
export interface Posted {
  readonly room: string;
  readonly id: string;
  readonly position: number;
  /** By the server's clock, in RFC 3339. */
  readonly time: string;
}

/** The answer to what has no other. */
export interface Ok {
  readonly type: "ok";
  readonly ref: string;
}

export interface Refusal {
  readonly type: "error";
  readonly ref?: string | null;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** The answer to `ping`. */
export interface Pong {
  readonly type: "pong";
  readonly ref?: string | null;
  /** By the server's clock, in RFC 3339. */
  readonly time: string;
  /** Where the connection is in what it has been told. */
  readonly n: number;
}

/** The server wants its clients to go elsewhere. */
export interface GoAway {
  readonly type: "goAway";
  /** When this client is to go, in milliseconds from now. */
  readonly reconnectAfterMs: number;
  /** When the server ends what is left, in milliseconds from now. */
  readonly deadlineMs: number;
  readonly reason: string;
}

/** The server can't do all of its work for a while (`degraded`), or can again (`restored`). */
export interface Degraded {
  readonly type: "degraded" | "restored";
  /** A sentence, for people. */
  readonly reason: string;
}

export type ServerFrame = (Welcome | Ok | Refusal | Pong | GoAway | Degraded | Signal | RoomFrame) & {
  /** Rises in every frame that must not be lost. */
  readonly n?: number;
};

/** What each action is answered with. */
export interface Answers {
  join: Joined;
  leave: Ok;
  signal: Ok;
  send: Ok;
  chat: Posted;
  presence: Ok;
  token: { readonly expiresAt: string | null };
  report: Ok;
  ping: Pong;
}

/** Return the frame that a text holds, or `undefined` if it holds none. */
export function decode(text: string): ServerFrame | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    return isObject(frame) && typeof frame.type === "string" ? (frame as unknown as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
