"""The application on a real socket, in this process: for tests that need streams and speed but no process of their own."""

import contextlib
import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import urllib3
from werkzeug.serving import make_server

from app import create_app
from app.config import Settings
from app.devserver import QuietHandler


class Served:
    """`with Served(opencode_map, GATEWAY_…="…") as served: served.post("/v1/chat/completions", {...})`."""

    def __init__(self, opencode: Mapping[str, Any], **environ: str) -> None:
        settings = Settings.load({"GATEWAY_VERBOSE": "0", "GATEWAY_TRACE": "off", **environ}, dotenv=False, opencode=opencode)
        with contextlib.redirect_stdout(io.StringIO()):  # the log belongs to no test's output
            self.app = create_app(settings)
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True, request_handler=QuietHandler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._pool = urllib3.PoolManager(retries=False)

    def __enter__(self) -> "Served":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()
        self._server.shutdown()
        self._server.server_close()
        for name in ("trace_store", "store"):
            if (store := self.app.extensions.get(name)) is not None:
                store.close()

    def post(
        self, path: str, body: Any, headers: Mapping[str, str] | None = None, **how: Any
    ) -> urllib3.BaseHTTPResponse:
        """POST `body` (bytes as they are, else as JSON); the answer is read whole unless `preload_content=False`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Content-Type": "application/json", **(headers or {})}
        return self._pool.request("POST", self.url + path, body=data, headers=head, timeout=30, **how)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        return self._pool.request("GET", self.url + path, headers=headers, timeout=30)


def events(data: bytes) -> list[Any]:
    """Return the JSON of each event of a stream; the last must be [DONE]."""
    payloads = [block.removeprefix(b"data: ") for block in data.split(b"\n\n") if block and not block.startswith(b":")]
    assert payloads[-1] == b"[DONE]", data[-200:]
    return [json.loads(payload) for payload in payloads[:-1]]
