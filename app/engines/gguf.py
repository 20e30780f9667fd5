"""Local models: leases one from the keeper and speaks OpenAI's dialect to llama.cpp's server in its process.

The server is always asked for a stream: a whole answer would go on being generated for a client that left. Everything
about files, memory and processes is `local_models`'.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from app.call import UpstreamCall
from app.emulation.tool_prompt import others_in, text_of
from app.engines import openai_wire, relay
from app.errors import ConfigError, UpstreamUnreachable
from app.local_models.errors import ModelLoading
from app.local_models.keeper_client import KeeperClient, Loaded, client_for
from app.measures import UPSTREAM
from app.quirks.tool_names import function_name
from app.utils.assemble import assemble
from app.utils.model_resolver import Target

LOST_SECONDS = 10.0  # until the keeper surely knows that a process has ended
SLICE = 15.0  # seconds of waiting for a load between two signs of life, where the call names none


def complete(body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Return the answer as a chat.completion. Raises ModelLoading, ModelLoadFailed, LocalModelsMissing."""
    asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
    chunks = [chunk for batch in stream(asked, target, call) for chunk in batch]
    for chunk in chunks:
        if not isinstance(chunk, dict) or "choices" not in chunk:
            return chunk  # an error in place of an answer
    if not call.saw_done:
        return {"chunks": chunks}  # whoever repairs it sees that it was cut
    return {"object": "chat.completion", **assemble(chunks)}


def stream(body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the answer's chunks, one list per read; an empty list now and then while the model is being loaded."""
    order = target.options.get("local")
    if not isinstance(order, dict):
        raise ConfigError(f"The model `{target.requested}` is no local model: engine `gguf` serves what is discovered.")
    if images := others_in(body["messages"]):
        call.note("emulation.images", "messages", images, "named in the text")
    lost, told = None, False
    while True:
        with ExitStack() as stack:
            for loaded in _lease(order, call, stack, lost):
                call.trace.measures.lap(UPSTREAM)
                if loaded is None:
                    yield []
                    continue
                try:
                    with closing(_ask(body, target, loaded, call)) as batches:
                        for batch in batches:
                            told = told or bool(batch)
                            yield batch
                    return
                except UpstreamUnreachable:
                    if told or lost:
                        raise
                    lost = loaded.pid  # it was killed a moment ago, and the keeper had not heard of that yet


def _ask(
    body: dict[str, Any], target: Target, loaded: Loaded, call: UpstreamCall
) -> Generator[list[Any], None, None]:
    here = replace(target, base_url=loaded.base_url, api_key=loaded.key, headers={})
    with relay.send(for_llama(body), here, call) as exchange:
        batches = openai_wire.read_chunks(exchange, call)
        yield from with_one_usage(batches) if (body.get("n") or 1) > 1 else batches


def with_one_usage(batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """Join what llama.cpp counts for each of several choices: one chunk at the end has the tokens of all."""
    last: dict[str, Any] | None = None
    for batch in batches:
        kept = []
        for chunk in batch:
            if not isinstance(chunk, dict) or chunk.get("choices") != [] or not isinstance(chunk.get("usage"), dict):
                kept.append(chunk)
            elif last is None:
                last = chunk
            else:
                last = {**chunk, "usage": _of_both(last["usage"], chunk["usage"])}
        yield kept
    if last is not None:
        yield [last]


def _of_both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    completion = one.get("completion_tokens", 0) + other.get("completion_tokens", 0)
    return {**one, "completion_tokens": completion, "total_tokens": one.get("prompt_tokens", 0) + completion}


def _lease(order: dict[str, Any], call: UpstreamCall, stack: ExitStack, lost: int | None) -> Iterator[Loaded | None]:
    """Yield None as long as the model is being loaded, then where it answers; `stack` holds the lease.

    `lost` is the process that did not answer. If it does not end within some seconds, it was something else.
    """
    keeper: KeeperClient = client_for(order["folder"], order["memory"], order["idle"])
    began = time.monotonic()
    until = began + order["wait"]
    while True:
        now = time.monotonic()
        lost = lost if now < began + LOST_SECONDS else None
        wait = max(0.0, min(until - now, call.keep_alive or SLICE, LOST_SECONDS if lost else order["wait"]))
        try:
            loaded = stack.enter_context(keeper.lease(order, wait, call.cancel, lost=lost))
        except ModelLoading:
            if call.cancel.cancelled or time.monotonic() >= until:
                raise
            yield None
            continue
        yield loaded
        return


def for_llama(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as llama.cpp takes it.

    Its templates know neither `name` on messages nor null fields, and it refuses messages without content. No model has
    its projector loaded here: for an image it would refuse the whole conversation, so that one is named in the text. A
    `tool_choice` that is an object it takes for "auto": one that names a tool becomes that tool alone, which must be
    called. A `stop` that is empty would end the answer before it began.
    """
    messages = [
        {name: value for name, value in message.items() if value is not None and name != "name"}
        for message in body["messages"]
    ]
    for message in messages:
        if not message.get("tool_calls"):
            message.setdefault("content", "")
        if others_in([message]):
            message["content"] = text_of(message["content"])
    made = {**body, "messages": messages}
    if stop := body.get("stop"):
        made["stop"] = [text for text in ([stop] if isinstance(stop, str) else stop) if text != ""]
    elif "stop" in made:
        del made["stop"]
    if named := function_name(body.get("tool_choice")):
        chosen = [tool for tool in body.get("tools") or () if function_name(tool) == named]
        made |= {"tools": chosen, "tool_choice": "required"} if chosen else {}
    return made
