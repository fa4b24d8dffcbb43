/**
 * A network between browsers, and between them and the server, that can be cut.
 *
 * Browsers reach the server through a TCP proxy. Their media reaches each other through a UDP relay: who
 * tells its candidates through `moved` names a port of the relay in place of its own, so that every packet of
 * the other side comes by here, and goes on from the port that stands for that side. There is no other way, as
 * nobody knows anybody's own address. What is cut is really lost, as on a network that is away.
 */

import { createSocket } from "node:dgram";
import { createServer, connect as dial } from "node:net";

export class Network {
  /** Where browsers find the server. */
  url;
  #server;
  #cut = false;
  #sockets = new Set();
  /** The relay's sockets by the address that each stands for, as promises. */
  #stands = new Map();
  #lost = 0;

  static async between(url) {
    const network = new Network();
    const { hostname, port } = new URL(url);
    network.#server = createServer((here) => network.#join(here, dial(Number(port), hostname)));
    await new Promise((resolve) => network.#server.listen(0, "127.0.0.1", resolve));
    network.url = `http://127.0.0.1:${network.#server.address().port}`;
    return network;
  }

  /** Packets of media that were lost in cuts. */
  get lost() {
    return this.#lost;
  }

  /** Nothing passes any more. */
  cut() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** The network is back. What was on its way over TCP comes now, unless `hangUp` came before. */
  restore() {
    this.#cut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** End every TCP connection. */
  hangUp() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Everybody has another address from now on: at the known ones nobody is there any more. */
  async renumber() {
    const stands = [...this.#stands.values()];
    this.#stands.clear();
    for (const stand of stands) (await stand).close();
  }

  /** Return a signal's text with the relay's ports in place of the browser's own. */
  async moved(text) {
    const found = [...text.matchAll(/(candidate:\S+ \d+ udp \d+ )(\S+) (\d+)/gi)];
    let moved = text;
    for (const [whole, before, address, port] of found) {
      const stand = await this.#stand(address, Number(port));
      moved = moved.replace(whole, `${before}${address} ${stand.address().port}`);
    }
    return moved;
  }

  async close() {
    this.hangUp();
    await this.renumber();
    this.#server.close();
  }

  #join(here, there) {
    for (const [one, other] of [
      [here, there],
      [there, here],
    ]) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      if (this.#cut) one.pause();
    }
  }

  /** The socket that stands for an address: what comes to it goes there. */
  #stand(address, port) {
    const key = `${address} ${port}`;
    const known = this.#stands.get(key);
    if (known) return known;
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("error", () => {});
    socket.on("message", async (packet, { address: from, port: fromPort }) => {
      if (this.#cut) {
        this.#lost += 1;
        return;
      }
      const sender = await this.#stand(from, fromPort);
      sender.send(packet, port, address, () => {});
    });
    const stand = new Promise((resolve) => socket.bind(0, address, () => resolve(socket)));
    this.#stands.set(key, stand);
    return stand;
  }
}
