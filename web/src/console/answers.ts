/** What REST answers, as types; docs/reference/rest.md says what each means. Strangers wrote most of the texts. */

export interface Listed<T> {
  readonly items: readonly T[];
  /** Where the list goes on; null at its end. */
  readonly next: string | null;
}

export type Metadata = Readonly<Record<string, unknown>>;

export interface Connection {
  readonly connectionId: string;
  readonly userId: string | null;
  readonly deviceId: string | null;
  readonly metadata: Metadata;
  readonly availability: string;
  readonly rooms: readonly string[];
  readonly dialect: string;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly connectedAt: string;
}

export interface Frame {
  readonly time: string;
  readonly direction: "in" | "out";
  readonly route: string;
  readonly bytes: number;
  readonly ref: string | null;
}

export interface OngoingCall {
  readonly id: string;
  readonly startedAt: string;
  readonly participants: readonly string[];
}

export interface ListedRoom {
  readonly room: string;
  readonly epoch: string;
  readonly position: number;
  readonly members: number;
  readonly openedAt: string;
  readonly call: OngoingCall | null;
}

export interface Member {
  readonly connectionId: string;
  readonly userId: string | null;
  readonly deviceId: string | null;
  readonly metadata: Metadata;
  readonly availability: string;
  readonly joinedAt: string;
}

export type Room = Omit<ListedRoom, "members"> & { readonly members: readonly Member[] };

export interface Participant {
  readonly connectionId: string;
  readonly userId: string | null;
  readonly joinedAt: string;
  readonly leftAt: string | null;
}

export interface ListedCall {
  readonly id: string;
  readonly room: string;
  readonly state: "active" | "ended";
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly durationMs: number | null;
  readonly reason: string | null;
  readonly participants: readonly Participant[];
  /** Of the frame that started it. */
  readonly traceId: string | null;
  /** The call's own, once it has ended. */
  readonly ownTraceId: string | null;
  /** From the first offer to the start. */
  readonly setupMs: number | null;
  /** From the same offer to the first answer. */
  readonly firstAnswerMs: number | null;
  /** As the first of those who began it reports it. */
  readonly firstMediaMs: number | null;
}

export interface Step {
  readonly time: string;
  readonly type: "offered" | "answered" | "failed";
  readonly from: string;
  /** Null where it went to a whole room. */
  readonly to: string | null;
  readonly traceUrl: string | null;
}

export type Call = ListedCall & {
  readonly traceUrl: string | null;
  readonly ownTraceUrl: string | null;
  readonly steps: readonly Step[];
};

/** What a participant measured of its path to another; bytes and packets are those since its last report. */
export interface Sample {
  readonly time: string;
  readonly connectionId: string;
  readonly peer: string;
  readonly state: string;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly jitterMs: number | null;
  readonly roundTripMs: number | null;
  readonly localCandidate: string | null;
  readonly remoteCandidate: string | null;
  readonly setupMs: number | null;
  readonly firstMediaMs: number | null;
}

export interface Message {
  readonly room: string;
  readonly epoch: string;
  readonly position: number;
  readonly id: string;
  /** Null when a backend spoke. */
  readonly from: string | null;
  readonly userId: string | null;
  readonly text: string;
  readonly time: string;
}

/** A process of Parley. */
export interface Part {
  readonly name: string;
  readonly instance: string;
  readonly version: string;
  readonly startedAt: string;
  readonly ready: boolean;
  /** What it lacks, a sentence each. */
  readonly missing: Readonly<Record<string, string>>;
  readonly figures: Readonly<Record<string, number>>;
}

export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99?: number | null;
}

export interface CallsStep {
  readonly time: string;
  readonly calls: number;
  readonly offers: number;
  readonly answered: number;
  readonly failed: number;
  readonly successRate: number | null;
  readonly durationMs: Percentiles;
  readonly setupMs: Percentiles;
  readonly firstMediaMs: Percentiles;
}

export interface ActivityStep {
  readonly time: string;
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  readonly joins: number;
  readonly leaves: number;
  readonly messages: number;
  readonly callsStarted: number;
  readonly callsEnded: number;
  readonly offers: number;
  readonly negotiationsFailed: number;
  readonly eventsFailed: number;
}

/** A public event, as docs/reference/events shows them. */
export interface PublicEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: Metadata;
}
