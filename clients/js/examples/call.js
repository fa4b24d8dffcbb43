import { connect, joinCall } from "parley-client";

const { room = "tea", name = "Guest" } = Object.fromEntries(new URLSearchParams(location.search));
const { videos, microphone, state, said, form } = window; // the elements with these ids
const connection = connect({ url: "http://127.0.0.1:8080", metadata: { name } });
connection.on("state", (now) => tell(now === "open" ? "" : now));
connection.on("closed", ({ message }) => tell(message));

const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
show("me", camera).muted = true;
const call = await joinCall(connection, room, { stream: camera });
call.on("peer", ({ connectionId, stream }) => show(connectionId, stream));
call.on("gone", ({ connectionId }) => document.getElementById(connectionId)?.remove());
call.room.on("chat", (chat) => said.append(line(chat)));

microphone.onclick = () => (call.muted.audio ? call.unmute("audio") : call.mute("audio"));
form.onsubmit = (event) => {
  event.preventDefault();
  call.room.chat(form.text.value, { data: { name } }).catch(({ message }) => tell(message));
  form.reset();
};
said.prepend(...(await call.room.history()).messages.map(line));

function show(id, stream) {
  const video = document.getElementById(id) ?? videos.appendChild(document.createElement("video"));
  Object.assign(video, { id, autoplay: true, playsInline: true });
  if (video.srcObject !== stream) video.srcObject = stream;
  return video;
}

function tell(text) {
  state.textContent = text;
}

function line({ text, data }) {
  const item = document.createElement("li");
  item.textContent = `${data?.name ?? "Somebody"}: ${text}`;
  return item;
}
