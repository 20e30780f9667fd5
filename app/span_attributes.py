"""What a span tells of a request, by the semantic conventions for generative AI (1.44); knows nothing of the SDK.

Without `content` no word of a prompt or an answer is told. All text has passed the trace's masker.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.quirks.genai_providers import genai_provider
from app.trace_bodies import read_value
from app.trace_values import parse
from app.utils.genai_messages import input_messages, output_messages
from app.utils.json_text import dump

if TYPE_CHECKING:
    from app.trace import Trace

CHAT_PATH = "/v1/chat/completions"
NUMBERS = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
}
USAGE = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read.input_tokens",
    "reasoning_tokens": "reasoning.output_tokens",
}
LONGEST_WORD = 200
PORTS = {"http": 80, "https": 443}

Attributes = dict[str, Any]


def name_of(trace: "Trace") -> str:
    """Return the name of a span: what is done and by which model."""
    return f"{_operation(trace)} {trace.target.model}"


def error_of(trace: "Trace", summary: Mapping[str, Any]) -> str | None:
    """Return the class of what ended a request early, None for one that ended well."""
    if trace.measures.error is not None:
        return trace.measures.error
    if trace.measures.cancelled:
        return "ClientGone"
    status = summary.get("status")
    return str(status) if isinstance(status, int) and status >= 400 else None


def attributes_of(trace: "Trace", summary: Mapping[str, Any], content: bool) -> Attributes:
    """Return the attributes of a span; `summary` is the trace's."""
    pairs = [*_request(trace, summary), *_answer(trace, summary), *_own(trace, summary)]
    if content:
        pairs += _content(trace)
    return {name: value for name, value in pairs if value is not None}


def _operation(trace: "Trace") -> str:
    return "chat" if str(trace.facts.get("path")).partition("?")[0] == CHAT_PATH else "text_completion"


def _request(trace: "Trace", summary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    target = trace.target
    yield "gen_ai.operation.name", _operation(trace)
    yield "gen_ai.provider.name", genai_provider(target.base_url, target.litellm_model, target.engine_name)
    yield "gen_ai.request.model", target.model
    yield "gen_ai.request.stream", True if trace.streams else None
    yield "gen_ai.conversation.id", summary.get("session")
    try:
        url = urlsplit(target.base_url or "")
        if url.hostname:
            yield "server.address", url.hostname
            yield "server.port", url.port or PORTS.get(url.scheme)
    except ValueError:
        pass  # an address that is none
    yield from _parameters(trace)


def _parameters(trace: "Trace") -> Iterator[tuple[str, Any]]:
    """Tell what was sent, or what was asked for where nothing was sent: of text only that there is an output format."""
    noted = {station: value for _, station, value in trace.noted()}
    station = "upstream_request" if noted.get("upstream_request") else "client_request"
    body = read_value(station, noted.get(station))
    if not isinstance(body, Mapping):
        return
    for field, name in NUMBERS.items():
        value = body.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53:
            yield f"gen_ai.request.{name}", value
    choices = body.get("n")
    if isinstance(choices, int) and 1 < choices < 1 << 53:
        yield "gen_ai.request.choice.count", choices
    form = body.get("response_format")
    if isinstance(form, Mapping):
        yield "gen_ai.output.type", "json" if str(form.get("type")).startswith("json") else "text"


def _answer(trace: "Trace", summary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for fact, name in USAGE.items():
        if isinstance(summary.get(fact), int):
            yield f"gen_ai.usage.{name}", summary[fact]
    if isinstance(summary.get("finish_reason"), str):
        yield "gen_ai.response.finish_reasons", [summary["finish_reason"]]
    if summary.get("ttft") is not None:
        yield "gen_ai.response.time_to_first_chunk", summary["ttft"]
    said = _said(trace)
    for name in ("id", "model"):
        if isinstance(said.get(name), str):
            yield f"gen_ai.response.{name}", trace.mask_text(said[name][:LONGEST_WORD])
    yield "error.type", error_of(trace, summary)
    if isinstance(summary.get("status"), int):
        yield "http.response.status_code", summary["status"]


def _said(trace: "Trace") -> Mapping[str, Any]:
    """Return the upstream's answer, or the first chunk of it."""
    noted = next((value for _, station, value in trace.noted() if station == "upstream_response"), None)
    first = noted if noted is not None else next((payloads[0] for _, payloads in trace.chunks("raw")), None)
    said = parse(first) if isinstance(first, bytes) else first
    return said if isinstance(said, Mapping) else {}


def _own(trace: "Trace", summary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What no convention has a name for."""
    target = trace.target
    yield "gateway.request.id", trace.id
    yield "gateway.model", f"{target.provider_id}/{target.model_key}"
    yield "gateway.engine", target.engine_name
    yield "gateway.repairs", summary.get("repairs") or None
    yield "gateway.cost", summary.get("cost")
    yield "gateway.retries", len(trace.measures.retries) or None


def _content(trace: "Trace") -> Iterator[tuple[str, Any]]:
    body = trace.last("client_request")
    if isinstance(body, Mapping):
        if messages := input_messages(body.get("messages") or _prompt(body.get("prompt"))):
            yield "gen_ai.input.messages", _json(messages)
        if isinstance(body.get("tools"), list):
            yield "gen_ai.tool.definitions", _json(body["tools"])
    if messages := output_messages(trace.answer() if trace.streams else trace.last("answer")):
        yield "gen_ai.output.messages", _json(messages)


def _prompt(prompt: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []


def _json(value: object) -> str:
    return dump(value).decode()
