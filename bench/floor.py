"""The floor of every ratio: the least that gunicorn can do for a request, without gateway, Flask or upstream."""

from collections.abc import Callable, Iterable
from typing import Any

from bench.fake_upstream import whole_answer, word_events

WHOLE = whole_answer(500).partition(b"\r\n\r\n")[2]
STREAMS = {count: word_events(count) for count in (2, 502)}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body; answer /stream/N with N writes, /burst/N with one, anything else with one JSON."""
    environ["wsgi.input"].read()
    kind, _, count = environ["PATH_INFO"].lstrip("/").partition("/")
    if kind in ("stream", "burst"):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        events = STREAMS[int(count)]
        return events if kind == "stream" else [b"".join(events)]
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(WHOLE)))])
    return [WHOLE]
