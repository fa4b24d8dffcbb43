/** What runs inside a page of sdk.mjs. Everything in it has to stand in this one function. */

export function equip() {
  /** Everything that has to be closed, stopped or removed some day. */
  const open = { peers: new Set(), timers: new Set(), listeners: new Set() };

  const PeerConnection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends PeerConnection {
    constructor(...options) {
      super(...options);
      open.peers.add(this);
    }
    close() {
      open.peers.delete(this);
      super.close();
    }
  };
  const [set, clear] = [window.setTimeout.bind(window), window.clearTimeout.bind(window)];
  window.setTimeout = (act, ...more) => {
    const timer = set(
      () => {
        open.timers.delete(timer);
        act();
      },
      ...more,
    );
    open.timers.add(timer);
    return timer;
  };
  window.clearTimeout = (timer) => {
    open.timers.delete(timer);
    clear(timer);
  };
  for (const target of [window, navigator.connection]) {
    if (!target) continue;
    const [add, remove] = [target.addEventListener.bind(target), target.removeEventListener.bind(target)];
    target.addEventListener = (name, listener, ...more) => {
      open.listeners.add(listener);
      add(name, listener, ...more);
    };
    target.removeEventListener = (name, listener, ...more) => {
      open.listeners.delete(listener);
      remove(name, listener, ...more);
    };
  }
  window.open_ = () => ({ peers: open.peers.size, timers: open.timers.size, listeners: open.listeners.size });

  /** A picture of one colour in which something moves, with a tone if wanted. */
  window.film = (colour, { sound = false } = {}) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
    const pen = canvas.getContext("2d");
    let frame = 0;
    const timer = setInterval(() => {
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 160, 120);
      pen.fillStyle = "black";
      pen.fillRect((frame++ * 4) % 160, 0, 4, 8);
    }, 66);
    const stream = canvas.captureStream(15);
    stream.getVideoTracks()[0].addEventListener("ended", () => clearInterval(timer));
    if (!sound) return stream;
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    stream.addTrack(out.stream.getAudioTracks()[0]);
    return stream;
  };

  /** The clients of this page, by name. */
  window.clients = {};

  /** Connect as somebody and join a call. */
  window.enter = async (name, room, { url = location.origin, colour, sound, ...options } = {}) => {
    const connection = sdk.connect({ url, metadata: { name } });
    const client = { name, connection, troubles: [], heard: [], said: [], videos: new Map() };
    if (window.moved) goThrough(connection);
    clients[name] = client;
    const stream = colour ? film(colour, { sound }) : new MediaStream();
    client.call = await sdk.joinCall(connection, room, { stream, ...options });
    client.call.on("trouble", ({ error }) => client.troubles.push(String(error)));
    client.call.on("data", ({ data }) => client.heard.push(data));
    client.call.room.on("chat", ({ text }) => client.said.push(text));
    return connection.connectionId;
  };

  /** Let what a client signals name the addresses of network.mjs in place of its own. */
  const goThrough = (connection) => {
    const signal = connection.signal.bind(connection);
    let last = Promise.resolve();
    connection.signal = (to, data) => {
      const said = last.then(async () => signal(to, JSON.parse(await moved(JSON.stringify(data)))));
      last = said.catch(() => {});
      return said;
    };
  };

  /** The peer of one client that has a name. */
  window.peer = (client, name) =>
    [...clients[client].call.peers.values()].find(({ member }) => member.metadata.name === name);

  /** What one client sees of another: an element, as a page would have it. */
  window.view = (client, name) => {
    const stream = peer(client, name)?.stream;
    if (!stream) return undefined;
    const { videos } = clients[client];
    let video = videos.get(name);
    if (video?.srcObject !== stream) {
      video?.remove();
      video = Object.assign(document.createElement("video"), { muted: true, srcObject: stream });
      document.body.append(video);
      video.play().catch(() => {});
      videos.set(name, video);
    }
    return video;
  };

  window.frames = (client, name) => view(client, name)?.getVideoPlaybackQuality().totalVideoFrames ?? 0;

  /** Whether the picture has moved on by some frames since this was first asked. */
  const starts = new Map();
  window.moves = (client, name, count = 5, since = "") => {
    const video = view(client, name);
    if (!video?.videoWidth) return false;
    const now = frames(client, name);
    const key = [client, name, since].join();
    if (!starts.has(key) || starts.get(key).video !== video) starts.set(key, { video, now });
    return now >= starts.get(key).now + count;
  };

  /** Which of red, green and blue a picture mostly is. */
  window.colour = (client, name) => {
    const video = view(client, name);
    if (!video?.videoWidth) return "none";
    const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(video, 0, 0, 8, 8);
    const [red, green, blue] = pen.getImageData(4, 6, 1, 1).data;
    const most = Math.max(red, green, blue);
    if (most < 40) return "black";
    return most === red ? "red" : most === green ? "green" : "blue";
  };

  /** Leave, and hang up. */
  window.exit = async (name) => {
    const { call, connection, videos } = clients[name];
    await call.leave();
    connection.close();
    for (const video of videos.values()) video.remove();
    for (const track of call.local.getTracks()) track.dispatchEvent(new Event("ended"));
    for (const track of call.local.getTracks()) track.stop();
    delete clients[name];
  };
}
