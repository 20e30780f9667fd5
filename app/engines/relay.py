"""The fast lane: any endpoint that speaks OpenAI's dialect, spoken to directly. It repairs nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.call import UpstreamCall
from app.engines import network, openai_wire, wire
from app.engines.wire import Exchange
from app.errors import ConfigError
from app.utils.json_text import dump
from app.utils.model_resolver import Target
from app.version import USER_AGENT

INSTANCE_HEADER = "X-Gateway-Instance"
NOTES_REQUEST = True  # the bytes that are sent, so that nobody writes them once more


def complete(body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Return the upstream's chat.completion."""
    with send(body, target, call, noted=True) as exchange:
        return openai_wire.read_answer(exchange, call)


def stream(body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the upstream's chunks, one list per read."""
    with send(body, target, call, noted=True) as exchange:
        yield from openai_wire.read_chunks(exchange, call)


def send(
    body: dict[str, Any], target: Target, call: UpstreamCall, path: str = "/chat/completions", noted: bool = False
) -> Exchange:
    """Send `body` to the target's endpoint; `noted` says that the trace is to know its bytes."""
    data = dump(body)
    if noted:
        call.trace.note("upstream_request", body, data)
    url = endpoint(target, path)
    headers = request_headers(target, call) | network.proxy_headers(network.route(url)[0])
    return wire.send("POST", url, headers, data, call)


def endpoint(target: Target, path: str) -> str:
    """Return the URL of `path` below the target's baseURL; a query in the baseURL is kept. Raises ConfigError."""
    if not target.base_url:
        raise ConfigError(f"The provider `{target.provider_id}` has no baseURL; set options.baseURL in opencode.json.")
    base, _, query = target.base_url.partition("?")
    base = base.rstrip("/").removesuffix(path)
    return f"{base}{path}?{query}" if query else base + path


def request_headers(target: Target, call: UpstreamCall) -> dict[str, str]:
    """Return the headers of one upstream request; those of opencode.json overrule ours."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "identity",
        "User-Agent": USER_AGENT,
        INSTANCE_HEADER: call.instance,
    }
    if target.api_key:
        headers["Authorization"] = f"Bearer {target.api_key}"
    return _overlaid(headers, target.headers)


def _overlaid(headers: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    if not own:
        return headers
    lowered = {name.lower() for name in own}
    return {name: value for name, value in headers.items() if name.lower() not in lowered} | dict(own)
