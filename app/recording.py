"""What a capture says about one request, as a replay needs it: the question, what its upstream answered, what left.

Upstream answers come out as the bytes of a body, read by read, whatever the engine that read them. Reads no file.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app import sse
from app.capture import Capture, as_bytes
from app.errors import (
    ClientGone,
    GatewayError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from app.utils import legacy_completion, text_generation
from app.utils.json_text import dump, load

TEXT_ENGINES = ("chatjimmy",)  # their upstreams send text, no events
REPLAY = "replay"
WITHOUT_WIRE = ("mock",)  # they answer by themselves
CHAT, TEXT, GENERATE, SOCKET = "chat", "text", "generate", "socket"
ROUTES = {"/chat/completions": CHAT, "/completions": TEXT, "/api/generate": GENERATE, "/ws/generate": SOCKET}  # ends of paths
FAILURES: Mapping[str, type[UpstreamError]] = {
    kind.__name__: kind for kind in (UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable)
}
FRAMING = ("content-length", "transfer-encoding", "content-encoding")  # of the body as it came, not as it is noted
HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
CUT = "The capture holds only the beginning of this answer."
EVENTS, JSON, PLAIN = "text/event-stream", "application/json", "text/plain; charset=utf-8"


@dataclass
class Said:
    """One answer of an upstream. `reads` are (seconds since the question left, bytes); `failure` is what ended it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    reads: list[tuple[float, bytes]] = field(default_factory=list)
    failure: GatewayError | None = None
    failed_after: float = 0.0


@dataclass(frozen=True)
class Recording:
    """One captured request. `name` tells it from others of its session."""

    capture: Capture
    name: str = ""

    @property
    def id(self) -> str:
        return str(self.capture.summary.get("id") or self.name or "capture")

    @property
    def started(self) -> float:
        started = self.capture.summary.get("started")
        return float(started) if isinstance(started, int | float) else 0.0

    @cached_property
    def target(self) -> Mapping[str, Any]:
        """The model that answered, as far as it was noted (see app.trace_values.TARGET_FIELDS)."""
        return _object(self.capture.last("resolved"))

    @cached_property
    def request(self) -> Mapping[str, Any]:
        """The client's body; empty where it was no JSON object."""
        return _object(self.capture.last("client_request"))

    @property
    def streams(self) -> bool:
        return bool(self.request.get("stream"))

    @property
    def route(self) -> str | None:
        """Which of the gateway's formats was asked for: chat, text, generate, socket; None where a replay knows none."""
        path = str(self.capture.summary.get("path") or "/v1/chat/completions").partition("?")[0].rstrip("/")
        return next((route for end, route in ROUTES.items() if path.endswith(end)), None)

    @cached_property
    def chat(self) -> dict[str, Any] | None:
        """The request as the chat that was asked; None where it was none. Raises nothing."""
        try:
            if self.route == TEXT:
                return legacy_completion.as_chat(legacy_completion.check_completion_request(dict(self.request)))
            if self.route in (GENERATE, SOCKET):
                return text_generation.as_chat(text_generation.check_generate_request(dict(self.request)))
        except GatewayError:
            return None
        return dict(self.request) if self.route == CHAT and isinstance(self.request.get("messages"), list) else None

    @cached_property
    def error(self) -> Mapping[str, Any] | None:
        """How the request failed: type, message, status, code, upstream_status, upstream_body …; None if it did not.

        `answer` is the body that the client got for it, `headers` what came with that.
        """
        error = self.capture.last("error")
        return error if isinstance(error, dict) else None

    @cached_property
    def writes(self) -> list[tuple[float, bytes]]:
        """What the client got: (seconds since its request came, bytes of one write)."""
        streamed = list(self.capture.emitted())
        if streamed:
            return streamed
        at = next((event["at"] for event in reversed(self.capture.events)), 0.0)
        if (answer := self.capture.last("answer")) is not None:
            return [(at, dump(answer))]
        if not self.error:
            return []
        told = self.error.get("answer")
        return [(at, dump(told if isinstance(told, dict) else error_body_of(self.error)))]

    @property
    def is_left(self) -> bool:
        """Whether the client, or the gateway, was gone before the end: then there is an error that nobody was told."""
        if self.error is None:
            return bool(self.capture.summary.get("error"))
        return self.error.get("type") == ClientGone.__name__

    @property
    def headers(self) -> dict[str, str]:
        """Headers that an error went to the client with, such as Retry-After."""
        return headers_of(self.error or {})

    @property
    def missing(self) -> int:
        """How many reads and writes were too much to be kept: those at the end."""
        number = self.capture.summary.get("dropped_events")
        return number if isinstance(number, int) else 0

    @property
    def status(self) -> int:
        status = self.capture.summary.get("status")
        return status if isinstance(status, int) else 200

    @cached_property
    def answers(self) -> list[Said]:
        """What the upstream answered, one for each time that it was asked."""
        engine = self.target.get("engine_name")
        if engine == REPLAY:
            return []  # whose words it replayed is not noted
        found = list(_answers(self.capture, engine in TEXT_ENGINES))
        if not found and engine and engine not in WITHOUT_WIRE and any(self.capture.emitted()):
            found = [Said(headers={"Content-Type": EVENTS})]  # it was asked, and said nothing at all
        if found and self.missing and self.streams and found[-1].failure is None:
            found[-1].failure = UpstreamTruncated(CUT)
            found[-1].failed_after = found[-1].reads[-1][0] if found[-1].reads else 0.0
        return found

    @property
    def is_raw(self) -> bool:
        """Whether it is known what the upstream itself said, and not only what the client got."""
        return bool(self.answers)

    @cached_property
    def playable(self) -> list[Said]:
        """The answers to play: the upstream's, else what the client got (an engine without a wire has no other)."""
        if self.is_raw:
            return self.answers
        streamed = any(self.capture.emitted())
        if self.error and not streamed:
            return [Said(failure=error_of(self.error))]
        if self.route != CHAT or not self.writes:
            return []
        return [Said(headers={"Content-Type": EVENTS if streamed else JSON}, reads=self.writes)]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _answers(capture: Capture, is_text: bool) -> Iterator[Said]:
    """Gather the reads between two questions to one answer each; a refusal or a broken connection is one, too."""
    asked, said, whole = 0.0, None, False
    for event in capture.events:
        at, station, value = event["at"], event["station"], event.get("value")
        if station == "upstream_request":
            if said is not None:
                yield _as_whole(said)
            asked, said, whole = at, None, False
        elif station == "raw" and not whole:
            said = said or Said(headers={"Content-Type": PLAIN if is_text else EVENTS})
            _add(said, [as_bytes(text) for text in event["data"]], at - asked, is_text)
        elif station == "upstream_response":
            said, whole = _response(value, at - asked, is_text), True
        elif station in ("error", "upstream_failure") and isinstance(value, dict):
            said = _end(said, value, at - asked)
    if said is not None:
        yield _as_whole(said)


def _add(said: Said, payloads: list[bytes], after: float, is_text: bool) -> None:
    """Add one read. What is noted behind the end stood outside of any event, and was only looked at then."""
    data = b"".join(payloads if is_text else map(as_event, payloads))
    if not is_text and said.reads and said.reads[-1][1].endswith(sse.DONE_EVENT):
        ended, last = said.reads[-1]
        said.reads[-1] = ended, last.removesuffix(sse.DONE_EVENT) + b"\n".join(payloads) + b"\n" + sse.DONE_EVENT
        return
    said.reads.append((after, data))


def _response(value: Any, after: float, is_text: bool) -> Said:
    """Return a whole answer, or a refusal, which is noted with its status and headers."""
    if isinstance(value, dict) and isinstance(value.get("status"), int) and isinstance(value.get("body"), str):
        return _refusal(value["status"], value["body"], value.get("headers"), after)
    body = as_bytes(value) if isinstance(value, str) else dump(value)
    return Said(headers={"Content-Type": PLAIN if is_text else JSON}, reads=[(after, body)])


def _refusal(status: int, text: str, headers: object, after: float) -> Said:
    body, given = as_bytes(text), {str(name): str(value) for name, value in _object(headers).items()}
    kept = {name: value for name, value in given.items() if name.lower() not in FRAMING}
    return Said(status, kept or {"Content-Type": _kind_of(body)}, [(after, body)])


def _end(said: Said | None, error: Mapping[str, Any], after: float) -> Said | None:
    """Return an answer that ended in `error`."""
    status = error.get("upstream_status")
    if said is None and isinstance(status, int):
        return _refusal(status, str(error.get("upstream_body") or ""), error.get("upstream_headers"), after)
    if (kind := FAILURES.get(str(error.get("type")))) and (said is None or said.failure is None):
        said = said or Said()
        said.failure, said.failed_after = kind(str(error.get("message") or "")), after
    return said


def _kind_of(body: bytes) -> str:
    start = body.lstrip()[:1]
    return JSON if start in (b"{", b"[") else "text/html" if start == b"<" else PLAIN


def _as_whole(said: Said) -> Said:
    """An upstream may answer with one JSON object, or a web page, although it was asked for events: that is no event."""
    if len(said.reads) != 1 or said.headers.get("Content-Type") != EVENTS:
        return said
    at, data = said.reads[0]
    payloads = sse.Decoder().feed(data)
    value = _parse(payloads[0]) if len(payloads) == 1 else {}
    choices = value.get("choices") if isinstance(value, dict) else None
    is_message = isinstance(choices, list) and any(isinstance(choice, dict) and "message" in choice for choice in choices)
    if is_message or (value is None and payloads[0].strip() != sse.DONE):
        return Said(said.status, {"Content-Type": _kind_of(payloads[0])}, [(at, payloads[0])], said.failure, said.failed_after)
    return said


def _parse(payload: bytes) -> Any:
    try:
        return load(payload)
    except ValueError:
        return None


def as_event(payload: bytes) -> bytes:
    """Return the data of an event as the event that it came in."""
    return b"".join(b"data: " + line + b"\n" for line in payload.split(b"\n")) + b"\n"


def error_of(error: Mapping[str, Any]) -> GatewayError:
    """Return the error that a capture tells of, with its status, type, code, words and headers."""
    status, code, param = error.get("status"), error.get("code"), error.get("param")
    kind = _object(_object(error.get("answer")).get("error")).get("type")
    return GatewayError(
        str(error.get("message") or "The captured request failed."),
        status=status if isinstance(status, int) else 500,
        type=kind if isinstance(kind, str) else None,
        code=code if isinstance(code, str) else None,
        param=param if isinstance(param, str) else None,
        headers=headers_of(error),
    )


def headers_of(error: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that were noted with an error; what could break a response, or frame it, is no such header."""
    given = {str(name): str(value) for name, value in _object(error.get("headers")).items()}
    sound = {name: value for name, value in given.items() if HEADER.fullmatch(name) and value.isascii() and value.isprintable()}
    return {name: value for name, value in sound.items() if name.lower() not in (*FRAMING, "content-type", "connection")}


def error_body_of(error: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an error in OpenAI's shape, as far as an older capture tells it: its `type` was not noted."""
    made = error_of(error or {})
    kind = "invalid_request_error" if made.status < 500 else "server_error"
    return {"error": {"message": str(made), "type": kind, "param": made.param, "code": made.code}}
