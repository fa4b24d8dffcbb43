/** Cameras and microphones whose pictures can be looked at: somebody drawn, who sits still. */

const PEOPLE = {
  "Ana Lima": { wall: "#dfe9e2", light: "#eef4ef", skin: "#c98f6b", hair: "#3a2720", top: "#2f6b57" },
  "Ben Okafor": { wall: "#d9e0ea", light: "#e9eef5", skin: "#7b4f35", hair: "#1d1512", top: "#d8a24a" },
  "Chiara Rossi": { wall: "#efe3d6", light: "#f7efe6", skin: "#e7b796", hair: "#8a4b2d", top: "#4a5a8a" },
  "Eva Lind": { wall: "#e6dfea", light: "#f1ecf4", skin: "#f0c9ae", hair: "#d9b36a", top: "#8a4a5e" },
};

/** What `arrive` runs ahead of the page's scripts, for somebody who is drawn here. */
export function camera(name) {
  return [draw, PEOPLE[name]];
}

/** Runs in the page. */
function draw({ wall, light, skin, hair, top }) {
  const [width, height, framesPerSecond] = [480, 300, 5];

  function paint(pen) {
    pen.fillStyle = wall;
    pen.fillRect(0, 0, 640, 400);
    pen.fillStyle = light;
    pen.fillRect(400, 40, 180, 200); // a window
    const disc = (x, y, rx, ry, colour) => {
      pen.fillStyle = colour;
      pen.beginPath();
      pen.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
      pen.fill();
    };
    disc(320, 175, 98, 112, hair);
    disc(320, 420, 190, 130, top);
    pen.fillStyle = skin;
    pen.fillRect(288, 250, 64, 60);
    disc(320, 310, 32, 22, skin);
    disc(320, 195, 76, 90, skin);
    pen.fillStyle = hair;
    pen.beginPath();
    pen.ellipse(320, 150, 84, 60, 0, Math.PI, 2 * Math.PI);
    pen.fill();
    disc(292, 196, 7, 8, "#20211f");
    disc(348, 196, 7, 8, "#20211f");
    pen.strokeStyle = "#20211f";
    pen.lineWidth = 5;
    pen.lineCap = "round";
    pen.beginPath();
    pen.arc(320, 226, 24, 0.2 * Math.PI, 0.8 * Math.PI);
    pen.stroke();
  }

  function picture() {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    pen.scale(width / 640, height / 400);
    const next = () => paint(pen);
    next();
    const timer = setInterval(next, 1000 / framesPerSecond);
    const [track] = canvas.captureStream(framesPerSecond).getVideoTracks();
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    return track;
  }

  /** Nobody speaks. */
  function silence() {
    const audio = new AudioContext();
    return audio.createMediaStreamDestination().stream.getAudioTracks()[0];
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) =>
    new MediaStream([...(audio ? [silence()] : []), ...(video ? [picture()] : [])]);
}
