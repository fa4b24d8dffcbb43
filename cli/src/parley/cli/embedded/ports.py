"""
Free ports for parts nobody asked a particular port for.

They are taken from below the range the kernel hands to outgoing connections, so that a part that was killed finds its
port still free when it is started again.
"""

import errno
import random
import socket

RANGE = range(20000, 30000)
ATTEMPTS = 200
LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK, *, taken: set[int] | None = None) -> int:
    """Return a port that is free on *host* now, and not in *taken*; it is added there."""
    taken = set() if taken is None else taken
    for _ in range(ATTEMPTS):
        port = random.choice(RANGE)  # noqa: S311 - chance keeps instances apart, nothing is secret here
        if port not in taken and port_is_free(host, port):
            taken.add(port)
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {RANGE.start} and {RANGE.stop} on {host}")


def port_is_free(host: str, port: int) -> bool:
    """Return whether somebody could listen on *port* now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
