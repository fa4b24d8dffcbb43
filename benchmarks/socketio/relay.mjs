// What the measures need of Parley, said with Socket.IO: a relay that keeps nothing and tells nobody else.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (room, done) => {
    socket.join(room);
    done();
  });
  socket.on("signal", (to, data) => io.to(to).emit("signal", socket.id, data));
  socket.on("send", (room, data) => socket.to(room).emit("message", room, socket.id, data));
  socket.on("chat", (room, id, text, done) => {
    io.to(room).emit("chat", room, id, socket.id, text);
    done();
  });
});

process.on("SIGUSR2", () => globalThis.gc()); // so that the memory of a connection is not that of its handshake
http.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${http.address().port}`));
