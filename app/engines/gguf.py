"""Local models: leases one from the keeper and speaks OpenAI's dialect to llama.cpp's server in its process.

The server is always asked for a stream: a whole answer would go on being generated for a client that left. Everything
about files, memory and processes is `local_models`'.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from app.call import UpstreamCall
from app.emulation.tool_prompt import others_in, text_of
from app.engines import openai_wire, relay
from app.errors import ConfigError
from app.local_models.errors import ModelLoading
from app.local_models.keeper_client import KeeperClient, Loaded, client_for
from app.measures import UPSTREAM
from app.quirks.tool_names import function_name
from app.utils.assemble import assemble
from app.utils.model_resolver import Target

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
    with ExitStack() as stack:
        for loaded in _lease(order, call, stack):
            call.trace.measures.lap(UPSTREAM)
            if loaded is None:
                yield []
                continue
            here = replace(target, base_url=loaded.base_url, api_key=loaded.key, headers={})
            if images := others_in(body["messages"]):
                call.note("emulation.images", "messages", images, "named in the text")
            with relay.send(for_llama(body), here, call) as exchange:
                yield from openai_wire.read_chunks(exchange, call)


def _lease(order: dict[str, Any], call: UpstreamCall, stack: ExitStack) -> Iterator[Loaded | None]:
    """Yield None as long as the model is being loaded, then where it answers; `stack` holds the lease."""
    keeper: KeeperClient = client_for(order["folder"], order["memory"], order["idle"])
    until = time.monotonic() + order["wait"]
    while True:
        left = until - time.monotonic()
        try:
            loaded = stack.enter_context(keeper.lease(order, max(0.0, min(left, call.keep_alive or SLICE)), call.cancel))
        except ModelLoading:
            if call.cancel.cancelled or time.monotonic() >= until:
                raise
            yield None
            continue
        yield loaded
        return


def for_llama(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body as llama.cpp takes it.

    Its templates know neither `name` on messages nor null fields. No model has its projector loaded here: for an image it
    would refuse the whole conversation, so that one is named in the text. A `tool_choice` that is an object it takes for
    "auto": one that names a tool becomes that tool alone, which must be called.
    """
    messages = [
        {name: value for name, value in message.items() if value is not None and name != "name"}
        for message in body["messages"]
    ]
    for message in messages:
        if others_in([message]):
            message["content"] = text_of(message["content"])
    made = {**body, "messages": messages}
    if named := function_name(body.get("tool_choice")):
        chosen = [tool for tool in body.get("tools") or () if function_name(tool) == named]
        made |= {"tools": chosen, "tool_choice": "required"} if chosen else {}
    return made
