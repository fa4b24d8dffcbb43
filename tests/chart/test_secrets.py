"""Secrets are made once: what a cluster has already stays as it is."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from chart.rendered import CHART, Rendered, render, run


def resource(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "singularName": kind.lower(), "namespaced": True, "verbs": ["get", "list"]}


DISCOVERY: dict[str, Any] = {
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource("Secret", "secrets")]},
}
"""What helm asks of a cluster before it looks anything up."""


@contextmanager
def cluster(secrets: dict[str, dict[str, str]]) -> Iterator[str]:
    """Give the address of what answers as a cluster with these secrets in the namespace `calls` would."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            name = path.removeprefix("/api/v1/namespaces/calls/secrets/")
            if path in DISCOVERY:
                self._answer(200, DISCOVERY[path])
            elif name in secrets:
                metadata = {"name": name, "namespace": "calls"}
                self._answer(200, {"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "data": secrets[name]})
            else:
                status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                self._answer(404, status)

        def _answer(self, code: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def upgraded(secrets: dict[str, dict[str, str]]) -> Rendered:
    """Return what is rendered where these secrets are there already."""
    with cluster(secrets) as address:
        done = run(
            *("template", "parley", str(CHART), "--namespace", "calls", "--is-upgrade"),
            *("--dry-run=server", "--kube-apiserver", address),
        )
    assert not done.returncode, done.stderr
    return Rendered(done.stdout)


def test_an_upgrade_leaves_every_secret_as_it_is() -> None:
    first = {thing["metadata"]["name"]: thing["data"] for thing in render().of("Secret")}

    assert {thing["metadata"]["name"]: thing["data"] for thing in upgraded(first).of("Secret")} == first


def test_a_key_that_is_new_is_made_and_the_others_stay() -> None:
    """As when a later version of the chart needs one more."""
    old = base64.b64encode(b"an old secret").decode()
    after = upgraded({"parley-auth": {"token-secret": old}}).get("Secret", "parley-auth")["data"]

    assert after["token-secret"] == old
    assert len(base64.b64decode(after["resume-secret"])) == 40
