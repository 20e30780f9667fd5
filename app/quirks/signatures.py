"""Thought signatures: where a call carries one, where one is looked up, and the dummy; knows no database.

Gemini 3 refuses a history whose first call of a step lacks its signature ("Function call is missing a
thought_signature in functionCall parts"), and most clients drop it; the tool call's id is what they all keep.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

# LiteLLM (PR #16895) and our own stateless mode write the signature behind the id.
SEPARATOR = "__thought__"
DUMMY = "skip_thought_signature_validator"
PLAIN = frozenset(("id", "type", "function"))
PLAIN_FUNCTION = frozenset(("name", "arguments"))
NAMESPACES = ("google", "vertex")
ENFORCED_SINCE = 3.0
SIGNATURE_ERROR = re.compile(r"thought[_ ]?signature", re.IGNORECASE)


def encode_id(identifier: str, signature: str) -> str:
    """Return a tool call id that carries its signature, for a gateway without a store."""
    return f"{decode_id(identifier)[0]}{SEPARATOR}{signature}"


def decode_id(identifier: str) -> tuple[str, str | None]:
    """Split a tool call id into (id, signature that it carries or None)."""
    plain, separator, signature = identifier.partition(SEPARATOR)
    return (plain, signature or None) if separator else (identifier, None)


def is_signature_error(text: str) -> bool:
    """Tell whether an upstream's 400 is about a missing or wrong thought signature."""
    return SIGNATURE_ERROR.search(text) is not None


def dialect_of_refusal(text: str) -> str | None:
    """Return the dialect that an upstream's refusal gives away: who misses thought signatures is a Gemini."""
    return "gemini" if is_signature_error(text) else None


def read_signature(call: Mapping) -> str | None:
    """Return the signature that a tool call carries: in `extra_content`, or where LiteLLM and Portkey put it."""
    extra = call.get("extra_content")
    function = call.get("function")
    if extra is None and call.keys() <= PLAIN and isinstance(function, dict) and function.keys() <= PLAIN_FUNCTION:
        return None  # the usual case: a client that keeps only what OpenAI knows
    places = [extra.get(name) for name in NAMESPACES] if isinstance(extra, dict) else []
    places += [call.get("provider_specific_fields"), call, function]
    if isinstance(function, dict):
        places.append(function.get("provider_specific_fields"))
    for place in places:
        signature = place.get("thought_signature") if isinstance(place, dict) else None
        if isinstance(signature, str) and signature:
            return signature
    return None


def write_signature(call: dict, signature: str, facts: Facts) -> None:
    """Put a signature where the upstream reads it; `options.signatureNamespace` is "google" unless set."""
    if not facts.openai_dialect:  # LiteLLM's native translation reads this field and ignores extra_content
        given = call.get("provider_specific_fields")
        fields = given if isinstance(given, dict) else {}
        call["provider_specific_fields"] = {**fields, "thought_signature": signature}
        return
    namespace = str(facts.options.get("signatureNamespace", "google"))
    extra = call.get("extra_content")
    extra = dict(extra) if isinstance(extra, dict) else {}
    inner = extra.get(namespace)
    extra[namespace] = {**(inner if isinstance(inner, dict) else {}), "thought_signature": signature}
    call["extra_content"] = extra


def strip_suffixes(body: dict, facts: Facts, note: Note) -> None:
    """Tool call ids come back with a signature behind them (`…__thought__…`, 950 characters); other upstreams choke
    on it (litellm#18160, #41534).
    """
    for position, message in enumerate(body["messages"]):
        identifier = message.get("tool_call_id")
        if isinstance(identifier, str) and SEPARATOR in identifier:
            message["tool_call_id"] = decode_id(identifier)[0]
        for order, call in enumerate(message.get("tool_calls") or ()):
            identifier = call.get("id")
            if not isinstance(identifier, str) or SEPARATOR not in identifier:
                continue
            call["id"], signature = decode_id(identifier)
            note(f"messages[{position}].tool_calls[{order}].id", identifier, call["id"])
            if signature and facts.family == "gemini" and read_signature(call) is None:
                write_signature(call, signature, facts)


def restore(body: dict, facts: Facts, note: Note) -> None:
    """Gemini 3 answers 400 when the first call of a step lost its thought signature, as OpenCode, Cline, qwen, pi …
    lose it (langroid#969, opencode#4832).

    Own field first, then the store by id, then a dummy from Gemini 3 on. Settings: options.dummySignature (its
    text; Google names it in its FAQ), options.dummySignatureEncoding "plain" or "base64",
    options.dummySignatureOn "first" (call of each step), "all" or "off".
    """
    wanted: list[tuple[str, dict]] = []
    everywhere = facts.options.get("dummySignatureOn") == "all"
    for where, call, first in calls_of(body):
        if not first and not everywhere:
            continue
        signature = read_signature(call)
        if signature is None:
            wanted.append((where, call))
        elif not has_place(call, facts):
            write_signature(call, signature, facts)
            note(where, "signature in another field", "extra_content")
    if not wanted:
        return
    known = facts.signatures([call["id"] for _, call in wanted if call.get("id")]) if facts.signatures else {}
    dummy = dummy_for(facts)
    for where, call in wanted:
        signature = known.get(call.get("id") or "") or dummy
        if signature:
            write_signature(call, signature, facts)
            note(where, None, "dummy" if signature == dummy else "from the store")


def has_place(call: dict, facts: Facts) -> bool:
    """Tell whether the signature already stands where this upstream reads it."""
    place = "extra_content" if facts.openai_dialect else "provider_specific_fields"
    return read_signature({place: call.get(place)}) is not None


def calls_of(body: dict) -> Iterator[tuple[str, dict, bool]]:
    """Yield (where, call, is it the first of its step) for each tool call in the history."""
    for position, message in enumerate(body["messages"]):
        for order, call in enumerate(message.get("tool_calls") or ()):
            yield f"messages[{position}].tool_calls[{order}]", call, order == 0


def dummy_for(facts: Facts) -> str | None:
    """Return the dummy signature for this model, or None where none is wanted."""
    if facts.generation < ENFORCED_SINCE or facts.options.get("dummySignatureOn") == "off":
        return None
    text = str(facts.options.get("dummySignature") or DUMMY)
    encoded = facts.options.get("dummySignatureEncoding") == "base64"
    return b64encode(text.encode()).decode() if encoded else text


def with_dummy_signatures(body: dict, facts: Facts) -> dict:
    """Return `body` with the dummy on the first call of each step and no other signature: for one retry after a 400.

    `is_signature_error` tells when; signatures of another model or account are refused as "corrupted".
    """
    dummy = dummy_for(facts._replace(generation=max(facts.generation, ENFORCED_SINCE))) or DUMMY
    messages = []
    for message in body["messages"]:
        if message.get("tool_calls"):
            calls = [without_signature(call) for call in message["tool_calls"]]
            write_signature(calls[0], dummy, facts)
            message = {**message, "tool_calls": calls}
        messages.append(message)
    return {**body, "messages": messages}


def without_signature(call: dict) -> dict:
    """Return the call without any field that carries a signature."""
    fields = ("extra_content", "provider_specific_fields", "thought_signature")
    return {name: value for name, value in call.items() if name not in fields}


RULES = (Rule("message.id_suffix", "request", (), strip_suffixes),)
LATE_RULES = (Rule("gemini.thought_signature", "request", ("gemini",), restore),)
