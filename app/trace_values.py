"""What may be noted in a trace, as JSON-like values: events, targets, reports, headers, exceptions. Masks nothing."""

import traceback
from typing import Any

import orjson

from app.utils.masking import show_ends

KEY_ENDINGS = ("token", "key", "secret")
TARGET_FIELDS = (
    "requested",
    "provider_id",
    "model_key",
    "model",
    "litellm_model",
    "engine_name",
    "base_url",
    "api_key",
    "key_source",
    "openai_dialect",
    "options",
    "limit",
)


def split_events(data: bytes) -> list[bytes]:
    """Split what was written to a client into the data of its SSE events; comments keep their colon."""
    events = []
    for block in data.split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") if line.startswith(b"data:") else line for line in block.split(b"\n")]
        if any(lines):
            events.append(b"\n".join(lines))
    return events


def parse(payload: bytes) -> Any:
    """Return the JSON value of an event's data, None where it is none."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None


def describe_exception(error: BaseException) -> dict[str, object]:
    """Put an exception into words, so that no frame is held: type, message, what an upstream said, traceback."""
    described: dict[str, object] = {"type": type(error).__name__, "message": str(error)}
    for name in ("status", "code", "param", "upstream_status", "upstream_body"):
        if getattr(error, name, None) is not None:
            described[name] = getattr(error, name)
    if headers := getattr(error, "upstream_headers", None):
        described["upstream_headers"] = hide_keys(headers)
    described["traceback"] = "".join(traceback.format_exception(error))
    return described


def project(station: str, value: Any) -> object:
    """Turn what was noted into JSON-like values; called when somebody reads."""
    if station == "resolved" and not isinstance(value, dict):
        return {name: getattr(value, name) for name in TARGET_FIELDS if hasattr(value, name)}
    if station == "repairs" and hasattr(value, "header"):
        entries = [entry._asdict() if hasattr(entry, "_asdict") else entry for entry in value.entries]
        return {"header": value.header(), "counts": dict(value.counts), "entries": entries}
    return hide_keys(value) if station == "client_headers" else value


def hide_keys(headers: Any) -> dict[str, Any]:
    """Return HTTP headers as an object; those that are called a token, key or secret of whatever show only its ends.

    A masker knows the names that hold a key anywhere; in a body many a "…_token" is a word of the text.
    """
    return {
        str(name): show_ends(value) if isinstance(value, str) and str(name).lower().endswith(KEY_ENDINGS) else value
        for name, value in headers.items()
    }
