"""What all routes that lead to a model share: reading a body, beginning a turn, and the two ways an answer leaves."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Response, after_this_request, current_app, g, request

from app import lifecycle, sse
from app.auth import client_key
from app.call import UpstreamCall
from app.config import Settings
from app.errors import ClientGone, Draining, GatewayError, InvalidRequest, Shape, log, shape_here
from app.local_models.targets import find_default, find_target
from app.measures import FORMAT, READ, WRITE
from app.quirks.report import Report
from app.trace import Trace
from app.trace_bodies import bytes_of
from app.turn import Turn
from app.utils.json_text import dump, load

Chunks = list[dict[str, Any]]
LONGEST_HEADER = 4096
NOT_IN_A_HEADER = re.compile(r"[^\x21-\x7e]")  # a client chooses the names of its parameters
CLOSE = {"Connection": "close"}
SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def read_json(optional: bool = False) -> Any:
    """Return the JSON body, whatever the Content-Type says; an `optional` one that is empty is {}.

    Raises InvalidRequest, RequestTooLarge.
    """
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding != "identity":
        raise InvalidRequest(
            f"A request body with Content-Encoding {coding[:40]!r} is not read; send it as it is.",
            status=415,
            code="unsupported_encoding",
        )
    try:
        data = request.get_data(cache=False)
    except OSError:  # gunicorn's word for a broken chunked body, and for a client that stops half-way
        raise InvalidRequest("The request body could not be read.", code="invalid_http", headers=CLOSE) from None
    trace = g.trace
    trace.measures.lap(READ)
    if not data.strip():
        if optional:
            return {}
        raise InvalidRequest("The request body is empty; send a JSON object.", code="invalid_json")
    try:
        body = load(data)
    except ValueError as error:
        trace.note("client_request", data.decode("utf-8", "replace"))
        raise InvalidRequest(f"The request body is not valid JSON: {error}", code="invalid_json") from None
    trace.note("client_request", body, bytes_of(data, body))
    return body


def begin_turn(body: Mapping[str, Any]) -> Turn:
    """Return the turn that `body` asks for, ready to go; its repairs are counted. Raises as `make_turn`."""
    turn = make_turn(body)
    count_at_end(turn.report, model_of(turn))
    return turn


def model_of(turn: Turn) -> str:
    """Return the name under which repairs are counted."""
    return f"{turn.target.provider_id}/{turn.target.model_key}"


def make_turn(body: Mapping[str, Any]) -> Turn:
    """Resolve the model that `body` names, else the default one, and return the turn, ready to go.

    Raises ModelNotFound, InvalidRequest.
    """
    extensions, trace = current_app.extensions, g.trace
    settings: Settings = extensions["settings_store"].current
    name = body.get("model") or find_default(settings)
    if not name or not isinstance(name, str):
        raise InvalidRequest(
            "`model` must be a non-empty string, and there is no model to take in its place.",
            param="model",
            code="missing_required_parameter",
        )
    target = find_target(name, settings, client_key() if not settings.api_keys else None)
    trace.note("resolved", target)
    report = Report(trace.clock())
    trace.note("repairs", report)
    call = UpstreamCall.from_settings(settings, trace, g.cancel, lifecycle.instance)
    return Turn(body, target, settings, call, report, g.client_headers, extensions.get("signatures"))


def count_at_end(report: Report, model: str) -> None:
    """Have the repairs of this request counted when all are known, however it ends."""
    current_app.extensions["store"].begin()  # opened while the upstream thinks, not when a signature is asked for
    counts = current_app.extensions["repair_counts"]

    @after_this_request
    def count(response: Response) -> Response:
        if response.is_streamed:
            response.call_on_close(lambda: counts.add(report, model))
        else:
            counts.add(report, model)
        return response


def json_response(answer: Mapping[str, Any], turn: Turn) -> Response:
    """Return a whole answer."""
    turn.call.trace.note("answer", answer)
    data = dump(answer)
    turn.call.trace.measures.lap(FORMAT)
    return Response(data, mimetype="application/json", headers=report_headers(turn.report))


def stream_response(batches: Iterator[Chunks], encode: Callable[[Chunks], bytes], turn: Turn) -> Response:
    """Return a streamed answer. Its status waits for the first chunk, so that a refusal keeps its own."""
    started = start(batches, turn.settings.first_chunk_wait)
    events = write_events(started, encode, turn.call.trace, turn.settings.keep_alive, shape_here())
    return Response(events, headers=SSE_HEADERS | report_headers(turn.report))


def start(batches: Iterator[Chunks], seconds: float) -> Iterator[Chunks]:
    """Wait for the first chunk, at most about `seconds`; errors until then are raised here."""
    deadline = time.monotonic() + seconds
    for chunks in batches:
        if chunks or time.monotonic() >= deadline:
            return _put_back(chunks, batches)
    return iter(())


def _put_back(first: Chunks, rest: Iterator[Chunks]) -> Iterator[Chunks]:
    try:
        yield first
        yield from rest
    finally:
        rest.close()  # type: ignore[attr-defined]


def write_events(
    batches: Iterator[Chunks], encode: Callable[[Chunks], bytes], trace: Trace, keep_alive: float, shape: Shape
) -> Iterator[bytes]:
    """Yield the bytes of an event stream: chunks, comments in long silences, an error event if one comes, [DONE]."""
    written, lap = time.monotonic(), trace.measures.lap
    try:
        for chunks in batches:
            if chunks and (data := encode(chunks)):
                pass
            elif keep_alive and time.monotonic() - written >= keep_alive * 0.9:
                data = sse.KEEP_ALIVE
            else:
                continue
            written = time.monotonic()
            trace.emitted(data)
            yield data
            lap(WRITE)
    except GeneratorExit:
        trace.measures.cancelled = True
        raise
    except GatewayError as error:
        error = what_ended(error)
        trace.note("error", error)
        yield _ending(sse.encode([shape(error, trace.mask_text)]), trace)
    except Exception as error:  # the rim: a bug of ours must still end the stream in the right shape
        trace.note("error", error)
        yield _ending(sse.encode([shape(as_bug(error), str)]), trace)
    else:
        yield _ending(b"", trace)
    finally:
        if (close := getattr(batches, "close", None)) is not None:
            close()


def what_ended(error: GatewayError) -> GatewayError:
    """Return `error`, or Draining where the server's own end looks like the client's."""
    return Draining() if isinstance(error, ClientGone) and lifecycle.lifecycle.draining else error


def as_bug(error: Exception) -> GatewayError:
    """Log a bug of ours, and return what the client is told of it."""
    log.error("bug in the gateway", exc_info=error)
    return GatewayError("The gateway failed on this request; its log says why.", code="internal_error")


def _ending(event: bytes, trace: Trace) -> bytes:
    data = event + sse.DONE_EVENT
    trace.emitted(data)
    return data


def report_headers(report: Report) -> dict[str, str]:
    """Say what was repaired up to now; a stream's later repairs stand in the log and the trace."""
    headers = {"X-Gateway-Repairs": report.header(), "X-Gateway-Dropped-Params": report.dropped_header()}
    return {name: NOT_IN_A_HEADER.sub("?", value)[:LONGEST_HEADER] for name, value in headers.items() if value}
