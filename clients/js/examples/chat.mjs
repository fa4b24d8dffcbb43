// Chat in a terminal: node chat.mjs <room> <name>
import { createInterface } from "node:readline";
import { connect, join } from "parley-client";
import WebSocket from "ws"; // from Node 22 on there is one already

const [room = "tea", name = "Guest"] = process.argv.slice(2);
const url = process.env.PARLEY_URL ?? "http://127.0.0.1:8080";
const connection = connect({ url, metadata: { name }, WebSocket });

const tea = await join(connection, room);
tea.on("chat", print);
tea.on("joined", ({ metadata }) => console.log(`${metadata.name} is here.`));
tea.on("left", ({ member }) => console.log(`${member.metadata.name} is gone.`));
for (const chat of (await tea.history()).messages) print(chat);

for await (const text of createInterface({ input: process.stdin })) {
  await tea.chat(text, { data: { name } }).catch(({ message }) => console.log(message));
}
connection.close();

function print({ text, data }) {
  console.log(`${data?.name ?? "Somebody"}: ${text}`);
}
