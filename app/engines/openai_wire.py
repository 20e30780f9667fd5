"""Reads OpenAI's dialect off an upstream's wire, whole or streamed, for every engine that has one. It repairs nothing.

A refusal or an answer that is none at all becomes an UpstreamError that carries what the upstream really said.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from app import sse
from app.call import UpstreamCall
from app.engines.wire import Exchange
from app.errors import UpstreamError

ERROR_LIMIT = 1_048_576  # bytes of a refusal's body that are read
WHOLE_STARTS = (b"{", b"[", b"<")


def read_answer(exchange: Exchange, call: UpstreamCall) -> dict[str, Any]:
    """Return the answer's JSON object, or `{"chunks": [...]}` where the upstream streamed although it was not asked to."""
    check_status(exchange, call)
    raw = exchange.read_all().removeprefix(sse.MARK)
    call.trace.note("upstream_response", raw)
    if raw.lstrip()[:5] in (b"data:", b"event") or raw.startswith(b":"):
        decoder = sse.Decoder()
        payloads = decoder.feed(raw) + decoder.flush()
        call.saw_done = any(payload.strip() == sse.DONE for payload in payloads)
        chunks = [value for payload in payloads if payload.strip() != sse.DONE for value in _parse(payload)]
        return {"chunks": chunks + _read_stray(decoder.stray, exchange, call)}
    try:
        answer = sse.parse(raw)[0]
    except ValueError:
        raise unreadable(exchange, raw) from None
    return answer if isinstance(answer, dict) else {"error": answer}


def read_chunks(exchange: Exchange, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the chunks of each read; an empty list after each `call.keep_alive` seconds of silence.

    Sets `call.saw_done`. A whole JSON body in place of events is yielded as one "chunk"; HTML raises UpstreamError.
    """
    call.saw_done = False
    for _ in exchange.ticks(call.keep_alive):
        yield []
    check_status(exchange, call)
    decoder, first, events = sse.Decoder(), b"", 0
    batches = exchange.batches(call.keep_alive)
    for data in batches:
        if not first:
            first = data.lstrip(b" \t\r\n\xef\xbb\xbf")[:1]
            if first in WHOLE_STARTS:
                yield from _read_whole(data, batches, exchange, call)
                return
        payloads = decoder.feed(data)
        events += len(payloads)
        batch, fault = _decode(payloads, call)
        if call.saw_done:
            break
        if batch or not data:
            yield batch
        if fault:
            raise fault
    else:
        batch, fault = _decode(decoder.flush(), call)
    if batch:
        yield batch
    if fault:
        raise fault
    if not (events or batch) and decoder.stray.lstrip()[:1] not in (b"", *WHOLE_STARTS):
        raise unreadable(exchange, decoder.stray)  # a sentence in place of events
    if stray := _read_stray(decoder.stray, exchange, call):
        call.trace.raw([decoder.stray])
        yield stray


def check_status(exchange: Exchange, call: UpstreamCall | None = None) -> None:
    """Raise UpstreamError unless the upstream said 2xx; what it said is noted, as a refusal may be mended and forgotten."""
    response = exchange.open()
    if not 200 <= response.status < 300:
        headers, body = dict(response.headers.items()), exchange.read_all(ERROR_LIMIT)
        if call is not None:
            said = {"status": response.status, "headers": headers, "body": body.decode("utf-8", "replace")}
            call.trace.note("upstream_response", said)
        raise refusal(response.status, headers, body)


def refusal(status: int, headers: dict[str, str], body: bytes) -> UpstreamError:
    """Describe a refusal as it came; `quirks` words it for the client."""
    if 300 <= status < 400:
        message = "The upstream redirects; put the address it redirects to into baseURL."
        return UpstreamError(message, upstream_status=status, upstream_headers=headers, upstream_body=body)
    return UpstreamError(
        f"The upstream answered {status}.",
        status=status,
        upstream_status=status,
        upstream_headers=headers,
        upstream_body=body,
    )


def unreadable(exchange: Exchange, body: bytes) -> UpstreamError:
    """Describe a 2xx answer that is no JSON, such as a proxy's HTML page."""
    what = "an empty answer" if not body.strip() else "no JSON"
    return UpstreamError(
        f"The upstream sent {what}.",
        code="upstream_malformed",
        upstream_status=exchange.open().status,
        upstream_body=body[:ERROR_LIMIT],
    )


def _decode(payloads: list[bytes], call: UpstreamCall) -> tuple[list[Any], UpstreamError | None]:
    """Return the chunks of one read, and what is wrong with the event behind them: they arrived, so they count."""
    if not payloads:
        return [], None
    call.trace.raw(payloads)
    batch: list[Any] = []
    for payload in payloads:
        if payload == sse.DONE or payload.strip() == sse.DONE:
            call.saw_done = True
            break
        try:
            batch.append(orjson.loads(payload))
        except ValueError:
            if payload.strip():
                try:
                    batch.extend(_parse(payload))
                except UpstreamError as fault:
                    return batch, fault
    return batch, None


def _parse(payload: bytes) -> list[Any]:
    try:
        return sse.parse(payload)
    except ValueError:
        raise UpstreamError("The upstream sent an event that is no JSON.", code="upstream_malformed") from None


def _read_whole(data: bytes, rest: Iterator[bytes], exchange: Exchange, call: UpstreamCall) -> Iterator[list[Any]]:
    pieces = [data]
    for more in rest:
        if not more:
            yield []
        pieces.append(more)
    raw = b"".join(pieces).removeprefix(sse.MARK)
    call.trace.raw([raw])
    try:
        values = sse.parse(raw)
    except ValueError:
        raise unreadable(exchange, raw) from None
    call.saw_done = True
    yield values


def _read_stray(stray: bytes, exchange: Exchange, call: UpstreamCall) -> list[Any]:
    """Lines outside any event: a bare JSON error in a stream, or a page of HTML that ends it."""
    if stray.lstrip()[:1] not in WHOLE_STARTS:
        return []
    try:
        return sse.parse(stray)
    except ValueError:
        if call.saw_done:
            return []
        raise unreadable(exchange, stray) from None
