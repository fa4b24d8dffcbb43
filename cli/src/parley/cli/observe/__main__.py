"""The viewer as a process: takes traces in by OTLP over HTTP and shows them. Arguments: the port, on loopback."""

import sys

from parley.cli.observe.viewer import Viewer

if __name__ == "__main__":
    Viewer(int(sys.argv[1])).serve_forever()
