"""gpt-oss on servers that complete raw text (vLLM, llama-server, `transformers serve`): the gateway speaks Harmony itself.

The prompt is rendered and the answer read by `emulation`; here is what passes between gateway and server. Settings of
the provider: `harmonyDialect` (harmony | simple), `harmonyDate` (YYYY-MM-DD, else today), `completionFields` (laid
over the request's fields; null leaves one out).
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from app.call import UpstreamCall
from app.engines import network, openai_wire, relay, wire
from app.engines.completions_wire import CompletionReader, completion_of
from app.engines.harmony_request import HINTS, endpoint, request_of
from app.errors import UpstreamError, UpstreamTruncated
from app.utils.json_text import dump
from app.utils.model_resolver import Target

WHOLE_CALLS = True  # each call comes in one piece
NOTES_REQUEST = True  # what is sent is not what the turn prepared


def complete(body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Return the answer as a chat.completion.

    The server streams even then: a whole answer would keep llama-server and transformers busy for a client that left.
    """
    chunks = [chunk for batch in stream(body, target, call) for chunk in batch]
    for chunk in chunks:
        if not isinstance(chunk, dict) or "choices" not in chunk:
            return chunk  # an error in place of an answer
    if not call.saw_done:
        raise UpstreamTruncated("The upstream ended its answer before it was complete.")
    return completion_of(chunks)


def stream(body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the answer as chat.completion.chunk dicts, one list per read."""
    url = endpoint(target)
    fields, make_reader = request_of(body, target)
    again, streamed = not call.last_attempt, bool(body.get("stream"))
    make = partial(CompletionReader, make_reader, target.model, again=again, streamed=streamed)
    left_out = call.lessons.fields.get(url, frozenset())
    while True:
        sent = {name: value for name, value in fields.items() if name not in left_out}
        try:
            for batch in _ask(url, sent, make(), target, call):
                if batch and left_out:
                    call.lessons.fields[url] = left_out
                yield batch
            return
        except UpstreamError as error:
            if refused := refused_hints(error, sent):
                left_out |= refused
                continue
            if is_no_endpoint(error):
                raise no_endpoint(error, url) from error
            raise


def _ask(
    url: str, fields: dict[str, Any], reader: CompletionReader, target: Target, call: UpstreamCall
) -> Iterator[list[Any]]:
    """Send one request and yield what its answer says."""
    call.trace.note("upstream_request", fields)
    headers = relay.request_headers(target, call) | network.proxy_headers(network.route(url)[0])
    with wire.send("POST", url, headers, dump(fields), call) as exchange:
        try:
            for batch in openai_wire.read_chunks(exchange, call):
                yield [made for chunk in batch for made in reader.take(chunk)]
        except UpstreamTruncated:
            if rest := reader.end(broken=True):
                yield rest
            raise
    call.saw_done = call.saw_done or reader.finished  # transformers ends without [DONE]
    if rest := reader.end(broken=not call.saw_done):
        yield rest
    _tell(reader, call)


def _tell(reader: CompletionReader, call: UpstreamCall) -> None:
    """Note what was tolerated in the text, and what was repaired in its calls."""
    if odd := reader.tolerated:
        call.trace.note("harmony", odd)
        for rule, seen in odd.items():
            if rule != "dropped":
                call.note(rule, "text", seen[0], "tolerated")
    for place, raw, note in reader.notes:
        call.note("emulation.arguments", place, raw, note)


def refused_hints(error: UpstreamError, sent: Mapping[str, Any]) -> frozenset[str]:
    """List the fields of our own that a refusal names ("Unexpected fields in the request: {…}", transformers)."""
    if error.upstream_status not in (400, 422):
        return frozenset()
    words = set(re.findall(r"\w+", (error.upstream_body or b"").decode("utf-8", "replace")))
    return frozenset(name for name in HINTS if name in sent and name in words)


def is_no_endpoint(error: UpstreamError) -> bool:
    """Tell whether a server has no such path; a 404 that speaks of a model is vLLM's for one that it does not serve."""
    return error.upstream_status in (404, 405) and b"model" not in (error.upstream_body or b"").lower()


def no_endpoint(error: UpstreamError, url: str) -> UpstreamError:
    """Say what to do about a server that completes no raw text (transformers 4.57 has a chat endpoint alone)."""
    return UpstreamError(
        f"The server at {network.route(url)[0].authority} does not complete raw text ({urlsplit(url).path}), which engine "
        "`harmony` needs. Use vLLM, llama.cpp or a newer `transformers serve` (5.x); or let the server build the "
        "prompt itself at its chat endpoint: options.engine `litellm` or `relay`.",
        status=error.upstream_status,
        type="invalid_request_error",
        code="no_completions_endpoint",
    )
