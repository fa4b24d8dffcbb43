/**
 * A server that says what a test wants, and writes down what it hears.
 *
 * It is for the protocol's corners that a real server reaches seldom or by chance.
 */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

type Frame = Record<string, unknown>;

export class ScriptedServer {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #visits: Visit[] = [];
  readonly #comers: ((visit: Visit) => void)[] = [];
  /** What REST answers, by path, with its query or for any. */
  readonly pages = new Map<string, { status: number; body: unknown }>();
  /** The REST requests that came. */
  readonly asked: { url: string; authorization: string | undefined }[] = [];

  private constructor(port: number) {
    this.#http = createServer((request, response) => {
      const url = request.url ?? "/";
      this.asked.push({ url, authorization: request.headers.authorization });
      const page = this.pages.get(url) ?? this.pages.get(url.split("?")[0] ?? "");
      response.writeHead(page?.status ?? 404, { "content-type": "application/json" });
      response.end(JSON.stringify(page?.body ?? { code: "not_found", message: "No such page." }));
    });
    this.#sockets = new WebSocketServer({ server: this.#http, handleProtocols: () => "parley.v1" });
    this.#sockets.on("connection", (socket, request) => {
      const protocols = (request.headers["sec-websocket-protocol"] ?? "")
        .split(",")
        .map((name) => name.trim());
      const visit = new Visit(socket, new URL(request.url ?? "/", "ws://server").searchParams, protocols);
      const comer = this.#comers.shift();
      if (comer) comer(visit);
      else this.#visits.push(visit);
    });
    this.#http.listen(port, "127.0.0.1");
  }

  static async start(port = 0): Promise<ScriptedServer> {
    const server = new ScriptedServer(port);
    await once(server.#http, "listening");
    return server;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The next socket that comes, or came and was not looked at. */
  async visit(): Promise<Visit> {
    return this.#visits.shift() ?? new Promise((resolve) => this.#comers.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, "close");
  }
}

/** One socket, from the server's side. */
export class Visit {
  readonly query: URLSearchParams;
  readonly protocols: string[];
  readonly #socket: WebSocket;
  readonly #heard: Frame[] = [];
  readonly #listeners: ((frame: Frame) => void)[] = [];
  readonly closed: Promise<number>;

  constructor(socket: WebSocket, query: URLSearchParams, protocols: string[]) {
    this.query = query;
    this.protocols = protocols;
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      const listener = this.#listeners.shift();
      if (listener) listener(frame);
      else this.#heard.push(frame);
    });
  }

  /** The next frame that the client sends, or has sent and was not looked at. */
  async hear(): Promise<Frame> {
    return this.#heard.shift() ?? new Promise((resolve) => this.#listeners.push(resolve));
  }

  say(...frames: Frame[]): void {
    for (const frame of frames) this.#socket.send(JSON.stringify(frame));
  }

  sayText(text: string): void {
    this.#socket.send(text);
  }

  welcome(connectionId: string, more: Frame = {}): void {
    this.say({
      type: "welcome",
      connectionId,
      app: "default",
      resumeToken: `token-of-${connectionId}`,
      resumed: false,
      heartbeatSeconds: 25,
      time: "2026-01-31T12:00:00.000Z",
      ...more,
    });
  }

  /** Hear a request with this action, and say yes to it. */
  async grant(action: string, answer: Frame = {}): Promise<Frame> {
    const frame = await this.hear();
    if (frame.action !== action) throw new Error(`expected ${action}, heard ${JSON.stringify(frame)}`);
    this.say({ type: "ok", ref: frame.ref, ...answer });
    return frame;
  }

  close(code: number, reason = ""): void {
    this.#socket.close(code, reason);
  }

  /** As when a cable is pulled. */
  cut(): void {
    this.#socket.terminate();
  }
}
