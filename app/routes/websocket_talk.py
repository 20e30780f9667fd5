"""The talk on one WebSocket: frame after frame is a question with a trace, a count and an answer of its own.

Kept apart from its route, so that the protocol's library is loaded when the first client wants it.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from flask import current_app, g

from app.auth import check_key
from app.errors import ClientGone, Draining, GatewayError, InvalidRequest
from app.lifecycle import lifecycle
from app.measures import WRITE
from app.request_trace import trace_of_request
from app.routes.conversation import as_bug, make_turn, model_of, what_ended
from app.routes.generate import with_default_model
from app.shimmy_errors import error_body
from app.trace import Trace
from app.turn import Turn
from app.utils.json_text import dump, load
from app.utils.text_generation import Events, as_chat, check_generate_request, frame_of, generation_events
from app.websocket import FAILED, GOING_AWAY, NORMAL, POLICY, SocketClosed, WebSocket

KEY_SECONDS = 10.0  # until the first frame of a client that has not shown a key yet


class Frame(NamedTuple):
    """What a client sent: the body without the key that it may hold, or why it cannot be read."""

    body: Any
    key: str | None
    problem: GatewayError | None


def serve(connection: WebSocket, idle: float, known: bool) -> None:
    """Answer frame after frame, until either side has had enough. Clients that are not `known` must show a key."""
    own, end = g.trace, None
    forget = lifecycle.when_draining(connection.wake)
    try:
        while end is None:
            data = connection.receive(idle if known else min(idle, KEY_SECONDS))
            if data is None:
                end = GOING_AWAY if lifecycle.draining else NORMAL
            else:
                end = answer(connection, data, known)
                known = True
    except SocketClosed:
        pass  # the client had enough
    finally:
        forget()
        g.trace = own
        connection.close(end or NORMAL)


def answer(connection: WebSocket, data: str | bytes, known: bool) -> int | None:
    """Answer one frame. Returns None where the connection goes on, else the code with which it ends."""
    frame = read_frame(data)
    g.trace = trace = trace_of_request("WS", (frame.key,) if frame.key else ())
    error: GatewayError | None = None
    cause: Exception | None = None
    try:
        with counted():
            if not known:
                check_key(current_app.extensions["settings_store"].current.api_keys, frame.key)
            send_answer(connection, frame, trace)
    except SocketClosed:
        error = cause = ClientGone("The client closed the connection.")
    except GatewayError as found:
        error = cause = what_ended(found)
    except Exception as bug:  # the rim: a bug of ours must not write an error page into the connection
        error, cause = as_bug(bug), bug
    try:
        if error is not None:
            trace.note("error", cause)
            send(connection, [error_body(error, trace.mask_text)], trace)
    finally:
        trace.finish(error.status if error else 200)
    return end_after(error) if error else None


def end_after(error: GatewayError) -> int:
    """Return the code with which a connection ends after an error."""
    if isinstance(error, Draining):
        return GOING_AWAY
    return POLICY if error.status < 500 else FAILED


def read_frame(data: str | bytes) -> Frame:
    """Read what a client sent."""
    try:
        body = load(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))
    except ValueError as error:
        return Frame(data, None, InvalidRequest(f"The frame is not valid JSON: {error}", code="invalid_json"))
    key = body.pop("api_key", None) if isinstance(body, dict) else None
    return Frame(body, key if isinstance(key, str) else None, None)


@contextmanager
def counted() -> Iterator[None]:
    """Count what is asked as work that a drain waits for. Raises Draining."""
    lifecycle.enter(g.cancel)
    try:
        yield
    finally:
        lifecycle.leave(g.cancel)


def send_answer(connection: WebSocket, frame: Frame, trace: Trace) -> None:
    """Generate what a frame asks for. Raises errors of the gateway's tree, SocketClosed."""
    body = frame.body | {"stream": True} if isinstance(frame.body, dict) else frame.body
    trace.note("client_request", body)
    if frame.problem is not None:
        raise frame.problem
    body = check_generate_request(body)
    if body.get("n") not in (None, 1):
        raise InvalidRequest("There is one answer on a WebSocket.", param="n", code="unsupported_value")
    turn = make_turn(with_default_model(as_chat(body)))
    current_app.extensions["store"].begin()
    try:
        with closing(generation_events(turn.stream())) as batches:
            send_events(connection, batches, turn)
    finally:
        current_app.extensions["repair_counts"].add(turn.report, model_of(turn))


def send_events(connection: WebSocket, batches: Iterable[Events], turn: Turn) -> None:
    """Send tokens as they come, and a ping in long silences."""
    trace, keep_alive, written = turn.call.trace, turn.settings.keep_alive, time.monotonic()
    for events in batches:
        if events:
            send(connection, [as_frame(event, trace) for event in events], trace)
        elif keep_alive and time.monotonic() - written >= keep_alive * 0.9:
            connection.ping()
        else:
            continue
        written = time.monotonic()


def as_frame(event: dict[str, Any], trace: Trace) -> dict[str, Any]:
    """Return the frame of an event of /api/generate."""
    frame = frame_of(event)
    if "done" in frame:
        trace.describe(finish_reason=frame["finish_reason"])
    return frame


def send(connection: WebSocket, frames: list[dict[str, Any]], trace: Trace) -> None:
    """Send frames in one write. Raises SocketClosed."""
    payloads = [dump(frame) for frame in frames]
    trace.emitted(b"".join([b"data: " + payload + b"\n\n" for payload in payloads]))
    connection.send([payload.decode() for payload in payloads])
    trace.measures.lap(WRITE)
