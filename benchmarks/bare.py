"""
A server that does nothing: it writes each frame back, or to everybody else when it begins with ``all``.

What the measures find of it is what the load generator, picows and the machine can do, so no server's figure is cut
short by the generator without being seen.
"""

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

clients: set[WSTransport] = set()


class Everybody(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        clients.add(transport)
        transport.send(WSMsgType.TEXT, b"hello")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), None)
            transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if not text.startswith(b"all "):
            transport.send(WSMsgType.TEXT, text)
            return
        prepared = bytearray(14) + text  # picows writes the frame's head into the free bytes
        for client in clients:
            if client is not transport:
                client.send_reuse_external_bytearray(WSMsgType.TEXT, prepared, 14)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        clients.discard(transport)


def listener(request: WSUpgradeRequest) -> Everybody:  # noqa: ARG001 - picows' signature
    return Everybody()


async def main() -> None:
    server = await ws_create_server(listener, "127.0.0.1", 0, backlog=4096, read_buffer_init_size=2048)
    sys.stdout.write(f"127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
