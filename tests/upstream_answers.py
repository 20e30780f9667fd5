"""What a fake upstream says: an answer as bytes, where they are cut, what happens between the pieces. No sockets."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

HANG = "hang"  # say nothing more until the peer goes away or the upstream is reset
CUT = "cut"  # close in the middle: no last chunk, no missing bytes of Content-Length
RESET = "reset"  # the same, but with a TCP reset

Event = Mapping[str, object] | Sequence[object] | str | bytes


class Gate:
    """A place in an answer where the upstream waits until the test opens it; `reached` tells that it got there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    @property
    def is_open(self) -> bool:
        return self._opened

    def open(self) -> None:
        """Let every answer that waits here, now or later, go on."""
        with self._lock:
            self._opened, wakers, self._wakers = True, self._wakers, []
        for wake in wakers:
            wake()

    def wait_reached(self, timeout: float = 5.0) -> bool:
        """Wait until an answer stands at this gate: all bytes before it are on the wire."""
        return self.reached.wait(timeout)

    def arrive(self, wake: Callable[[], None]) -> None:
        """Note that an answer got here; `wake` is called once when the gate opens."""
        with self._lock:
            opened = self._opened
            if not opened:
                self._wakers.append(wake)
        if opened:
            wake()
        self.reached.set()


Action = Gate | str


@dataclass
class Answer:
    """One HTTP answer. `cuts`: the offsets in `body` where a send ends; `actions`: done when so many bytes are out."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    framing: str = "length"  # "length", "chunked", "close", or "raw": the body is the whole HTTP answer, head included
    cuts: list[int] = field(default_factory=list)
    event_ends: list[int] = field(default_factory=list)
    actions: dict[int, list[Action]] = field(default_factory=dict)
    before_headers: Action | None = None
    keep_alive: bool = True

    def steps(self) -> list[bytes | Action]:
        """List what happens after the head, in order: bytes to send in one go, or an action."""
        offsets = sorted({0, len(self.body), *(c for c in self.cuts if 0 < c < len(self.body)), *self.actions})
        steps: list[bytes | Action] = []
        for start, end in zip(offsets, [*offsets[1:], len(self.body)], strict=True):
            steps.extend(self.actions.get(start, ()))
            if end > start:
                steps.append(self.body[start:end])
        return steps

    def offset(self, events: int | None, bytes_: int | None) -> int:
        """Turn "after n events" (negative: from the end) or "after n bytes" into an offset in the body."""
        if events is None:
            return len(self.body) if bytes_ is None else bytes_ if bytes_ >= 0 else len(self.body) + bytes_
        return [0, *self.event_ends][events if events >= 0 else events + len(self.event_ends)]

    def act_after(self, action: Action, events: int | None = None, *, bytes: int | None = None) -> "Answer":
        """Do `action` once `events` events, or `bytes` bytes, are out; with neither: at the end of the body."""
        self.actions.setdefault(self.offset(events, bytes), []).append(action)
        return self

    def hang_after(self, events: int | None = None, *, bytes: int | None = None) -> "Answer":
        """Fall silent there, connection open."""
        return self.act_after(HANG, events, bytes=bytes)

    def cut_after(self, events: int | None = None, *, bytes: int | None = None, reset: bool = False) -> "Answer":
        """Close the connection there (`reset`: with a TCP reset)."""
        return self.act_after(RESET if reset else CUT, events, bytes=bytes)

    def gate_after(self, events: int | None = None, gate: Gate | None = None, *, bytes: int | None = None) -> Gate:
        """Wait there until the returned gate is opened."""
        gate = gate or Gate()
        self.act_after(gate, events, bytes=bytes)
        return gate


def encode_json(value: object) -> bytes:
    """Encode as UTF-8, escaping only what cannot be UTF-8 (lone surrogates)."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def encode_event(event: Event, newline: str = "\n", space: bool = True) -> bytes:
    """Encode one server-sent event. bytes: verbatim; str: the text after `data:`; anything else: its JSON."""
    if isinstance(event, bytes):
        return event
    data = event.encode() if isinstance(event, str) else encode_json(event)
    end = newline.encode()
    return (b"data: " if space else b"data:") + data + end + end


def piece_offsets(pieces: int | Iterable[int] | None, event_ends: list[int], size: int) -> list[int]:
    """Say where a body is cut: at each event (None), every n bytes (int), or at the given offsets."""
    if pieces is None:
        return event_ends
    return list(range(pieces, size, pieces)) if isinstance(pieces, int) else sorted(pieces)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with one JSON document."""
    return bytes_answer(encode_json(value), status, {"Content-Type": "application/json", **(headers or {})})


def bytes_answer(
    raw: bytes, status: int = 200, headers: Mapping[str, str] | None = None, *, framing: str = "length"
) -> Answer:
    """Answer with these body bytes."""
    return Answer(raw, status, dict(headers or {}), framing)


def raw_answer(raw: bytes) -> Answer:
    """Answer with these bytes, status line and headers included, then close."""
    return Answer(raw, framing="raw", keep_alive=False)


def sse_answer(
    events: Iterable[Event],
    *,
    pieces: int | Iterable[int] | None = None,
    done: bool = True,
    newline: str = "\n",
    space: bool = True,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    framing: str = "chunked",
) -> Answer:
    """Answer with server-sent events, `[DONE]` last unless `done` is false; each piece is one send."""
    encoded = [encode_event(e, newline, space) for e in events]
    if done:
        encoded.append(encode_event("[DONE]", newline, space))
    ends, total = [], 0
    for event in encoded:
        total += len(event)
        ends.append(total)
    answer = Answer(b"".join(encoded), status, {"Content-Type": "text/event-stream", **(headers or {})}, framing)
    answer.event_ends, answer.cuts = ends, piece_offsets(pieces, ends, total)
    return answer
