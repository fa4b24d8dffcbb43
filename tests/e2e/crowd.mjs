/**
 * Real clients of `parley.v1` without a picture: sockets of a page that shows nothing.
 *
 * They say what a client says, a call's negotiation and reports included, so that a test or a picture has traffic of
 * its own making in an app of its own.
 */

/** Open a page of the server's origin on which clients live. They end with it. */
export async function gather(browser, url, app) {
  const page = await browser.newPage();
  await page.goto(new URL("/favicon.svg", url).href);
  await page.evaluate(stage, app);
  return {
    /** Connect somebody, and return their connection's id. */
    connect: (userId, metadata = {}) =>
      page.evaluate((...said) => window.crowd.connect(...said), userId, metadata),
    /** Let somebody ask for something, and return the answer. */
    ask: (userId, request) => page.evaluate((...said) => window.crowd.ask(...said), userId, request),
    /** Let somebody describe their side, an `offer` or an `answer`, to somebody else. */
    describe: (from, type, to) => page.evaluate((...said) => window.crowd.describe(...said), from, type, to),
    /** Let two describe their sides to each other: a call, where they share a room. */
    negotiate: (from, to, thinkMs = 0) =>
      page.evaluate((...said) => window.crowd.negotiate(...said), from, to, thinkMs),
    /** Return the code with which somebody's socket was closed, once it is. */
    closed: (userId) => page.evaluate((id) => window.crowd.closed(id), userId),
    leave: (userId) => page.evaluate((id) => window.crowd.leave(id), userId),
    end: () => page.close(),
  };
}

/** Runs in the page. */
function stage(app) {
  const clients = new Map();

  class Client {
    constructor(userId, metadata) {
      const address = new URL("/", location.href.replace(/^http/, "ws"));
      for (const [name, value] of Object.entries({
        app,
        userId,
        deviceId: `${userId}'s laptop`,
        ...metadata,
      }))
        address.searchParams.set(name, value);
      this.socket = new WebSocket(address, "parley.v1");
      this.answers = new Map();
      this.refs = 0;
      this.welcome = new Promise((resolve) => {
        this.welcomed = resolve;
      });
      this.ended = new Promise((resolve) => {
        this.socket.onclose = ({ code }) => resolve(code);
      });
      this.socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    }

    hear(frame) {
      if (frame.type === "welcome") this.welcomed(frame);
      this.answers.get(frame.ref)?.(frame);
      this.answers.delete(frame.ref);
    }

    ask(request) {
      const ref = String(++this.refs);
      return new Promise((resolve) => {
        this.answers.set(ref, resolve);
        this.socket.send(JSON.stringify({ ...request, ref }));
      });
    }
  }

  window.crowd = {
    async connect(userId, metadata) {
      const client = new Client(userId, metadata);
      clients.set(userId, client);
      const { connectionId } = await client.welcome;
      client.connectionId = connectionId;
      return connectionId;
    },
    ask: (userId, request) => clients.get(userId).ask(request),
    describe(from, type, to) {
      const data = { description: { type, sdp: "v=0\r\n" } };
      return clients.get(from).ask({ action: "signal", to: clients.get(to).connectionId, data });
    },
    async negotiate(from, to, thinkMs) {
      await this.describe(from, "offer", to);
      await new Promise((resolve) => setTimeout(resolve, thinkMs));
      await this.describe(to, "answer", from);
    },
    closed: (userId) => clients.get(userId).ended,
    leave(userId) {
      clients.get(userId).socket.close(1000);
      return clients.get(userId).ended;
    },
  };
}
