"""ChatJimmy: a hosted 8B model behind a web page's own API, text in and text out. It repairs nothing and knows no tools.

Shapes are those of its web page (probes of 2026-09); chatjimmy_answer reads what comes back. Own options of its provider
(or of one model, under `gateway`): `topK`, and `messageIds`: true sends an id and a date with each message.
"""

import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from app.call import UpstreamCall
from app.engines import network, wire
from app.engines.chatjimmy_answer import begin_answer
from app.engines.wire import Exchange
from app.errors import ConfigError, InvalidRequest
from app.utils.json_text import dump
from app.utils.model_resolver import Target
from app.utils.tokens import content_texts
from app.version import USER_AGENT

ADDRESS = "https://chatjimmy.ai"
PATH = "/api/chat"
TOP_K = 8  # what the web page sends; the upstream takes 1 when nothing is said
SYSTEM = ("system", "developer")

Chunk = dict[str, Any]


def complete(body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Return the whole answer. Raises InvalidRequest without a user's text, UpstreamError for any refusal."""
    raw: list[bytes] = []
    with send(body, target, call) as exchange:
        answer = begin_answer(exchange)
        pieces = []
        try:
            for data in exchange.batches(0):
                raw.append(data)
                pieces.append(answer.feed(data))
                if answer.complete:
                    break
        finally:
            call.trace.note("upstream_response", b"".join(raw))
        pieces.append(answer.end())
    message = {"role": "assistant", "content": "".join(pieces)}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish}
    whole = {**heading(body, "chat.completion"), "choices": [choice]}
    return whole if answer.usage is None else {**whole, "usage": answer.usage}


def stream(body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield chunks, one list per upstream read that says something; an empty list after each silence.

    There is no closing mark: the answer is complete with its block of numbers, else where HTTP says that it ends.
    """
    call.saw_done = False
    head = heading(body, "chat.completion.chunk")
    opening: dict[str, Any] = {"role": "assistant"}
    with send(body, target, call) as exchange:
        for _ in exchange.ticks(call.keep_alive):
            yield []
        answer = begin_answer(exchange)
        for data in exchange.batches(call.keep_alive):
            if not data:
                yield []
                continue
            call.trace.raw([data])
            if text := answer.feed(data):
                yield [_chunk(head, opening | {"content": text})]
                opening = {}
            if answer.complete:
                break
        last = [_chunk(head, opening | {"content": text})] if (text := answer.end()) else []
        call.saw_done = True
        last.append(_chunk(head, {}, answer.finish))
        if answer.usage is not None:
            last.append({**head, "choices": [], "usage": answer.usage})
        yield last


def heading(body: Mapping[str, Any], kind: str) -> Chunk:
    """Return the fields that an answer, and each chunk of a stream, begins with."""
    identifier = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": identifier, "object": kind, "created": int(time.time()), "model": body.get("model")}


def _chunk(head: Chunk, delta: dict[str, Any], finish: str | None = None) -> Chunk:
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


# --- the request ------------------------------------------------------------------------------------------------------


def send(body: Mapping[str, Any], target: Target, call: UpstreamCall) -> Exchange:
    """Send a request. Raises InvalidRequest, ConfigError, and what an Exchange raises."""
    url = endpoint(target)
    headers = request_headers(target) | network.proxy_headers(network.route(url)[0])
    return wire.send("POST", url, headers, dump(wire_body(body, target)), call)


def endpoint(target: Target) -> str:
    """Return the URL to post to: below the target's baseURL, whether or not it names the path itself."""
    base, _, query = (target.base_url or ADDRESS).partition("?")
    base = base.rstrip("/").removesuffix(PATH).removesuffix("/api")
    return f"{base}{PATH}?{query}" if query else base + PATH


def request_headers(target: Target) -> dict[str, str]:
    """Return the headers of one request; those of opencode.json overrule ours. There is no authentication: no key leaves."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
    }
    own = {name.lower() for name in target.headers}
    return {name: value for name, value in headers.items() if name.lower() not in own} | dict(target.headers)


def wire_body(body: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Return the request in ChatJimmy's shape. Raises InvalidRequest when no user says anything (a 500 upstream)."""
    system, turns = split_messages(body.get("messages") or ())
    if not any(role == "user" for role, _ in turns):
        raise InvalidRequest("There is no user message with text.", param="messages", code="invalid_value")
    extra = _stamp if target.options.get("messageIds") is True else dict
    options = {"selectedModel": target.model, "systemPrompt": "\n".join(system), "topK": top_k(body, target)}
    return {
        "messages": [{**extra(), "role": role, "content": "\n\n".join(texts)} for role, texts in turns],
        "chatOptions": options,
        "attachment": None,
    }


def split_messages(messages: Any) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the system texts, and the turns as (role, texts): neighbours of one role are one turn, as on the page.

    Only user and assistant are roles of the wire; any other that is left counts as the user's.
    """
    system: list[str] = []
    turns: list[tuple[str, list[str]]] = []
    for message in messages:
        text = "\n".join(content_texts(message.get("content")))
        role = message.get("role")
        if not text.strip():
            continue
        if role in SYSTEM:
            system.append(text)
            continue
        role = role if role == "assistant" else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].append(text)
        else:
            turns.append((role, [text]))
    return system, turns


def top_k(body: Mapping[str, Any], target: Target) -> int:
    """Return the body's `top_k`, else the option `topK`, else 8. Raises InvalidRequest, ConfigError for no number."""
    asked = body.get("top_k")
    if asked is not None:
        if not _is_count(asked):
            raise InvalidRequest("`top_k` must be a whole number from 1.", param="top_k", code="invalid_value")
        return int(asked)
    option = target.options.get("topK", TOP_K)
    if not _is_count(option):
        raise ConfigError(f"option topK of provider `{target.provider_id}` is {option!r}; it must be a whole number from 1")
    return int(option)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _stamp() -> dict[str, str]:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return {"id": str(uuid.uuid4()), "createdAt": now.replace("+00:00", "Z")}
