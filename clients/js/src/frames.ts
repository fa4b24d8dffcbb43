/**
 * What is said on the wire in the subprotocol `parley.v1`, as types.
 *
 * Nothing here decides anything; the words and fields are those of the
 * protocol's reference page.
 */

/** How willing a member is. A client sets the middle three; the others are the server's to say. */
export type Availability = "online" | "available" | "busy" | "away" | "inCall";

/** What a connection says about itself to the others. */
export type Metadata = Readonly<Record<string, unknown>>;

/** A place in a room's stream; `epoch` changes when the stream was started over. */
export interface Place {
  readonly epoch: string;
  readonly position: number;
}

/** A member as this client sees it. */
export interface Member {
  readonly connectionId: string;
  readonly userId: string | null;
  readonly deviceId: string | null;
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

export interface MemberJoined {
  readonly type: "member.joined";
  readonly room: string;
  readonly position: number;
  readonly member: Member;
}

export interface MemberLeft {
  readonly type: "member.left";
  readonly room: string;
  readonly position: number;
  readonly connectionId: string;
  readonly reason: LeaveReason;
}

export interface MemberChanged {
  readonly type: "member.changed";
  readonly room: string;
  readonly connectionId: string;
  readonly availability: Availability;
  readonly metadata: Metadata;
}

export interface Chat {
  readonly type: "chat";
  readonly room: string;
  readonly position: number;
  readonly id: string;
  /** `null` when a backend speaks. */
  readonly from: string | null;
  readonly userId: string | null;
  readonly text: string;
  readonly data?: unknown;
  readonly time: string;
}

export interface Message {
  readonly type: "message";
  /** Absent when a backend speaks to this connection alone. */
  readonly room?: string | null;
  readonly from?: string | null;
  readonly data: unknown;
}

export interface Signal {
  readonly type: "signal";
  readonly from: string;
  readonly data: unknown;
}

/** What a room's position counts, each by one. */
export type Positioned = MemberJoined | MemberLeft | Chat;

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
  readonly time: string;
}

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

export interface Pong {
  readonly type: "pong";
  readonly ref?: string | null;
  readonly time: string;
  readonly n: number;
}

export interface GoAway {
  readonly type: "goAway";
  readonly reconnectAfterMs: number;
  readonly deadlineMs: number;
  readonly reason: string;
}

export interface Degraded {
  readonly type: "degraded" | "restored";
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
