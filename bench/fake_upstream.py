"""A cheap upstream for measuring: precomputed bytes on asyncio, in a process of its own. The path says how it answers.

/burst/500/…   500 chunks in one write (whole answer: one JSON of as many words)
/paced/100/…   100 chunks, one write each, 5 ms apart
/slow/10/…     10 chunks, one a second
/calls/2/…     a stream of 2 tool calls as Gemini says them
Run as `python -m bench.fake_upstream`; it prints its port.
"""

import asyncio
import contextlib
import json
import time

from bench.processes import raise_file_limit

PACES = {"paced": 0.005, "slow": 1.0}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
LAST = b"0\r\n\r\n"
ENVELOPE = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}


def event(choices: list, **more: object) -> bytes:
    return b"data: " + json.dumps({**ENVELOPE, "choices": choices, **more}).encode() + b"\n\n"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def word_events(count: int) -> list[bytes]:
    """`count` chunks with one word each, then the finish, the usage and [DONE] in one piece."""
    words = [event([{"index": 0, "delta": {"content": f"word {n} "}, "finish_reason": None}]) for n in range(count)]
    return [*words, event([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + event([], usage=USAGE) + DONE]


def call_events(count: int) -> list[bytes]:
    """`count` whole tool calls without index and id, then `stop`."""
    arguments = json.dumps({"path": "src/module.py", "content": "x = 1\n" * 20})
    function = {"name": "editor", "arguments": arguments}
    delta = {"role": "assistant", "tool_calls": [{"id": "", "type": "function", "function": function}]}
    calls = [event([{"index": 0, "delta": delta, "finish_reason": None}]) for _ in range(count)]
    return [*calls, event([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + event([], usage=USAGE) + DONE]


def piece_events(count: int) -> list[bytes]:
    """One tool call whose arguments come in `count` pieces, then `stop`."""
    text = json.dumps({"path": "src/module.py", "content": "x = 1 " * count})
    size = max(1, len(text) // count)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    opening = {"role": "assistant", "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "editor", "arguments": ""}}]}  # fmt: skip
    deltas = [opening, *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces)]
    events = [event([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    return [*events, event([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + event([], usage=USAGE) + DONE]


def whole_answer(count: int) -> bytes:
    """One JSON answer of `count` words, head included."""
    message = {"role": "assistant", "content": "word " * count}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = json.dumps({**ENVELOPE, "object": "chat.completion", "choices": choices, "usage": USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Answers:
    """Precomputed answers by path: made once, sent many times."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, int], list[bytes]] = {}
        self._wholes: dict[int, bytes] = {}

    def stream(self, kind: str, count: int) -> list[bytes]:
        """List the writes of a stream; a burst is one."""
        if (kind, count) not in self._streams:
            events = [framed(e) for e in (call_events if kind == "calls" else word_events)(count)]
            writes = [HEAD + events[0], *events[1:-1], events[-1] + LAST]
            self._streams[kind, count] = writes if kind in PACES else [b"".join(writes)]
        return self._streams[kind, count]

    def whole(self, count: int) -> bytes:
        if count not in self._wholes:
            self._wholes[count] = whole_answer(count)
        return self._wholes[count]


class Upstream(asyncio.Protocol):
    """One connection: reads requests by Content-Length, answers by path."""

    answers = Answers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        _, _, after = head.partition(b"content-length:")
        needed = end + 4 + int(after.split(b"\r\n", 1)[0] or 0)
        if len(self._buffer) < needed:
            return
        body, self._buffer = self._buffer[end + 4 : needed], self._buffer[needed:]
        self._answer(head.split(b" ", 2)[1].decode(), b'"stream":true' in body.replace(b" ", b""))

    def _answer(self, path: str, stream: bool) -> None:
        kind, count = path.split("/")[1:3]
        if not stream:
            self._transport.write(self.answers.whole(int(count)))
            return
        writes = self.answers.stream(kind, int(count))
        if kind in PACES:
            self._write_paced(writes, 0, time.monotonic(), PACES[kind])
        else:
            self._transport.write(writes[0])

    def _write_paced(self, writes: list[bytes], position: int, start: float, pace: float) -> None:
        self._transport.write(writes[position])
        if position + 1 < len(writes):
            due = max(0.0, start + (position + 1) * pace - time.monotonic())
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(due, self._write_paced, writes, position + 1, start, pace)


async def serve() -> None:
    """Serve on a free port of 127.0.0.1 and print it."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    raise_file_limit()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
