/** What the tests share. */

import { test } from "node:test";
import { WebSocket } from "ws";
import type { Emitter } from "../src/emitter.js";
import { type Connection, type ConnectOptions, connect, type WebSocketConstructor } from "../src/index.js";
import { ScriptedServer, type Visit } from "./server.js";

/** Node 20 has none of its own. */
export const NodeWebSocket = WebSocket as unknown as WebSocketConstructor;

export interface Stage {
  readonly server: ScriptedServer;
  /** Connect to the server, without a wait to speak of between attempts. */
  connect(options?: Partial<ConnectOptions>): Connection;
  /** Connect and be welcomed as `connectionId`. */
  open(
    connectionId: string,
    options?: Partial<ConnectOptions>,
  ): Promise<{ connection: Connection; visit: Visit }>;
}

/** A test with a scripted server; what it opened is closed at its end. */
export function scripted(fact: string, play: (stage: Stage) => Promise<void>): void {
  test(fact, { timeout: 10_000 }, async () => {
    const server = await ScriptedServer.start();
    const connections: Connection[] = [];
    const stage: Stage = {
      server,
      connect(options = {}) {
        const connection = connect({
          url: server.url,
          WebSocket: NodeWebSocket,
          backoff: { firstMs: 1, capMs: 5 },
          ...options,
        });
        connections.push(connection);
        return connection;
      },
      async open(connectionId, options) {
        const connection = stage.connect(options);
        const visit = await server.visit();
        visit.welcome(connectionId);
        await connection.opened();
        return { connection, visit };
      },
    };
    try {
      await play(stage);
    } finally {
      for (const connection of connections) connection.close();
      await server.stop();
    }
  });
}

/** The next time that something happens. */
export function next<Events, Name extends keyof Events>(
  source: Emitter<Events>,
  event: Name,
): Promise<Events[Name]> {
  return new Promise((resolve) => {
    const stop = source.on(event, (value) => {
      stop();
      resolve(value);
    });
  });
}
