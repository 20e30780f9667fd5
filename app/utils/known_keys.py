"""Which secrets settings and model map hold, for those who must hide them; knows nothing of logs. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from app.quirks import families
from app.utils.model_map import is_placeholder_key

if TYPE_CHECKING:
    from app.config import Settings

SHORTEST = 6  # shorter words would be cut out of ordinary text
_SECRET_NAME = re.compile(r"auth|key|token|secret|password|cookie", re.IGNORECASE)


def known_keys(settings: "Settings") -> tuple[str, ...]:
    """List every configured key, longest first; the same tuple for the same Settings object.

    Keys of settings, the usual key variables that are set, and what the model map holds under a name that tells:
    apiKey, headers such as Authorization, addresses with a password or a key in them.
    """
    keys: tuple[str, ...] | None = settings.cache.get("known keys")
    if keys is None:
        found = {key.strip() for key in _all(settings)}
        real = [key for key in found if len(key) >= SHORTEST and not is_placeholder_key(key, from_client=True)]
        keys = settings.cache["known keys"] = tuple(sorted(real, key=lambda key: (-len(key), key)))
    return keys


def _all(settings: "Settings") -> Iterator[str]:
    yield from settings.api_keys
    listed = {name for provider in settings.opencode.providers.values() for name in provider.get("env") or ()}
    for name in families.KEY_VARIABLES | listed:
        yield settings.environ.get(name, "")
    yield from _of_address(settings.gemini_api_base)
    yield from _of_address(settings.transformers_url or "")
    yield from _of_address(settings.database_url or "")
    yield from _of_collector(settings.environ)
    yield from _within(settings.opencode.providers, "")


def _of_collector(environ: Mapping[str, str]) -> Iterator[str]:
    """Keys in OpenTelemetry's variables: the addresses of a collector, and `name=value,…` for the headers to it."""
    for variable, text in environ.items():
        if not variable.startswith("OTEL_EXPORTER_OTLP"):
            continue
        if variable.endswith("_HEADERS"):
            for name, _, value in (part.partition("=") for part in text.split(",")):
                if _SECRET_NAME.search(name):
                    yield unquote(value).rpartition(" ")[2]
        elif "://" in text:
            yield from _of_address(text)


def _within(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _within(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _within(inner, name)
    elif isinstance(value, str):
        if _SECRET_NAME.search(name):
            yield value.rpartition(" ")[2]  # "Bearer abc"
        if "://" in value:
            yield from _of_address(value)


def _of_address(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield parts.password or ""
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name):
            yield value
