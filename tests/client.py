"""A gateway inside the test process and a plain client of it, whose answers check their own shape.

    with LiveGateway(settings) as gateway:
        reply = gateway.chat(stream=True)
        reply.status, reply.error, reply.chunks, reply.text, reply.finish
"""

import contextlib
import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.serving import make_server

from app import create_app
from app.config import Settings
from app.devserver import QuietHandler

LIMIT = 30.0  # seconds; an answer that takes longer is a failure


@dataclass(frozen=True)
class Reply:
    """One answer read to its end. `raw` is the body as bytes; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def streamed(self) -> bool:
        return self.headers["content-type"].startswith("text/event-stream")

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails unless it is OpenAI's, with all four keys and nothing else."""
        assert self.headers["content-type"] == "application/json", self.raw[:500]
        return checked_error(self.json)

    @property
    def events(self) -> list[bytes]:
        """The data of each event of a stream, comments left out."""
        assert self.raw.endswith(b"\n\n"), self.raw[-200:]
        blocks = [block for block in self.raw.split(b"\n\n") if block and not block.startswith(b":")]
        assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks), blocks
        return [block[6:] for block in blocks]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The chunks of a stream that ends as it should: with [DONE], and without an error."""
        *events, last = self.events
        assert last == b"[DONE]", self.raw[-500:]
        chunks = [json.loads(event) for event in events]
        assert not [chunk for chunk in chunks if "error" in chunk], self.raw[-500:]
        return chunks

    @property
    def stream_error(self) -> dict[str, Any]:
        """The error that ends a stream, just before [DONE]."""
        *events, last = self.events
        assert last == b"[DONE]", self.raw[-500:]
        return checked_error(json.loads(events[-1]))

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The deltas of the first choice."""
        return [choice["delta"] for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == 0]

    @property
    def text(self) -> str:
        """What the first choice says, streamed or whole."""
        if self.streamed:
            return "".join(delta.get("content") or "" for delta in self.deltas)
        return str(self.json["choices"][0]["message"]["content"])

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls of the first choice, streamed (each in one piece) or whole."""
        if self.streamed:
            calls = [call for delta in self.deltas for call in delta.get("tool_calls") or ()]
            return [{name: value for name, value in call.items() if name != "index"} for call in calls]
        return list(self.json["choices"][0]["message"].get("tool_calls") or ())

    @property
    def finish(self) -> list[str]:
        """All finish reasons, in order."""
        parts = self.chunks if self.streamed else [self.json]
        return [choice["finish_reason"] for part in parts for choice in part["choices"] if choice["finish_reason"]]


def checked_error(body: Any) -> dict[str, Any]:
    """Return the error object of a body that is OpenAI's error and nothing else."""
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"message", "type", "param", "code"}, body
    assert body["error"]["message"] and body["error"]["type"], body
    return dict(body["error"])


class LiveGateway:
    """The app behind werkzeug's threaded server. `url` is its root."""

    def __init__(self, settings: Settings) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # the log belongs to no test's output
            self.app = create_app(settings)
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True, request_handler=QuietHandler)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = int(self._server.port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "LiveGateway":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for name in ("trace_store", "store"):
            if (store := self.app.extensions.get(name)) is not None:
                store.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and read its answer; `body` is bytes as they are, or anything JSON can say."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        connection = self.connect()
        try:
            connection.request(method, path, data, sent | dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("GET", path, None, headers)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return self.request("POST", path, body, headers)

    def chat(self, headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
        """Greet `some-model`; `fields` overrule."""
        return self.post("/v1/chat/completions", chat_body(**fields), headers)

    def repairs(self, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return GET /v1/repairs by rule once it says so: an answer is counted when its last byte is out, which is later."""
        deadline = time.monotonic() + LIMIT
        while True:
            found = {rule["id"]: rule for rule in self.get("/v1/repairs").json["data"]}
            if reached(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def open_stream(self, **fields: Any) -> "OpenStream":
        """Ask for a stream and return it as soon as its head is there."""
        return OpenStream(self.connect(), chat_body(stream=True, **fields))


class OpenStream:
    """A stream that is being read. Leaving it closes the connection, read or not."""

    def __init__(self, connection: http.client.HTTPConnection, body: Mapping[str, Any]) -> None:
        self._connection = connection
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        self._answer = connection.getresponse()
        self.status = self._answer.status

    def __enter__(self) -> "OpenStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield each event block, comments too, as soon as it is there."""
        block = b""
        while line := self._answer.readline():
            block += line
            if block.endswith(b"\n\n"):
                yield block[:-2]
                block = b""


def chat_body(**fields: Any) -> dict[str, Any]:
    """Return a small chat request."""
    return {"model": "some-model", "messages": [{"role": "user", "content": "hi"}], **fields}
