"""Each model of an opencode.json as a route: whose it is, where it leads, whether it is an alias. Pure."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.quirks import families

if TYPE_CHECKING:
    from app.config import Settings

ALIAS, MOCK, MOCK_URL = "alias", "mock", "mock:"
REPLAY, REPLAY_URL = "replay", "replay:"  # behind the colon: where the captures are
WIRE_ENGINES = ("litellm", "relay")  # engines that call the provider's baseURL

_PLACEHOLDER = re.compile(
    r"<.*>|\{.*\}|\$\{?\w+\}?|x{3,}|…|todo|change[-_ ]?me|replace[-_ ]?me|sk-x+"
    r"|your[-_ ].*(key|token|secret|here).*|(my|insert|enter|put|paste|replace)[-_ ].*here"
    r"|(my|enter|insert)[-_ ](api[-_ ]?)?(key|token)|.*(\.{3}|…|x{6,}|\*{4,})",
    re.IGNORECASE | re.DOTALL,
)
_NO_KEY = frozenset(
    "not-needed not_needed notneeded no-key nokey none null undefined dummy any anything test local mock ollama".split()
)
_DUMMY = re.compile(r"(sk-)?dummy([-_].*)?|.*[-_]not[-_](used|needed|required)", re.IGNORECASE)


@dataclass(frozen=True)
class Route:
    """One model entry of one provider.

    `upstream_id` is the entry's id, `model` the same without LiteLLM's prefix; `own` are options.gateway.<model>;
    `engine` is what the file says ("" = GATEWAY_ENGINE); `hidden` says why the entry may not be used, "" if it may.
    """

    provider_id: str
    key: str
    provider: Mapping[str, Any] = field(repr=False, hash=False, compare=False)
    entry: Mapping[str, Any] = field(repr=False, hash=False, compare=False)
    options: Mapping[str, Any] = field(repr=False, hash=False, compare=False)
    own: Mapping[str, Any] = field(repr=False, hash=False, compare=False)
    upstream_id: str
    model: str
    litellm_provider: str
    npm: str
    base_url: str | None
    engine: str
    alias: bool
    hidden: str


def routes_of(settings: "Settings") -> list[Route]:
    """List the routes of a model map in file order, hidden ones included; computed once per Settings object."""
    routes: list[Route] | None = settings.cache.get("routes")
    if routes is None:
        routes = settings.cache["routes"] = list(_routes(settings))
    return routes


def _routes(settings: "Settings") -> Iterator[Route]:
    for provider_id, provider in settings.opencode.providers.items():
        closed = _closed(provider_id, settings.opencode.data)
        for key, entry in (provider.get("models") or {}).items():
            yield route_of(provider_id, provider, key, entry, closed or _unlisted(key, provider), settings)


def route_of(
    provider_id: str, provider: Mapping[str, Any], key: str, entry: Mapping[str, Any], hidden: str, settings: "Settings"
) -> Route:
    """Read one model entry of one provider."""
    options, model_provider = provider.get("options") or {}, entry.get("provider") or {}
    own = (options.get("gateway") or {}).get(key) or {}
    base_url = options.get("baseURL") or model_provider.get("api") or provider.get("api") or None
    npm = families.npm_of(provider_id, model_provider.get("npm") or provider.get("npm"), bool(base_url))
    upstream_id = entry.get("id") or key
    replayed = upstream_id.startswith(REPLAY_URL) and key in (provider.get("models") or {})  # not if a client says it
    engine = own.get("engine") or (REPLAY if replayed else options.get("engine") or _engine_at(base_url))
    litellm_provider, model = families.split_model_id(
        upstream_id, npm, base_url, own.get("rawId", options.get("rawIds", engine in families.RAW_ID_ENGINES or None))
    )
    model = families.full_id(model, litellm_provider, base_url)
    itself = engine in ("", *WIRE_ENGINES) and is_own_address(base_url, settings.host, settings.port)
    return Route(
        provider_id=provider_id,
        key=key,
        provider=provider,
        entry=entry,
        options=options,
        own=own,
        upstream_id=upstream_id,
        model=model,
        litellm_provider=litellm_provider,
        npm=npm,
        base_url=base_url,
        engine=engine,
        alias=engine == ALIAS or itself,
        hidden=hidden,
    )


def _engine_at(base_url: str | None) -> str:
    """Return the engine that an address names, "" for one that is a URL."""
    if base_url == MOCK_URL:
        return MOCK
    return REPLAY if (base_url or "").startswith(REPLAY_URL) else ""


def _closed(provider_id: str, data: Mapping[str, Any]) -> str:
    enabled = data.get("enabled_providers")
    if enabled is not None and provider_id not in enabled:
        return "its provider is not among enabled_providers"
    return "its provider is among disabled_providers" if provider_id in (data.get("disabled_providers") or ()) else ""


def _unlisted(key: str, provider: Mapping[str, Any]) -> str:
    whitelist = provider.get("whitelist")
    if whitelist and key not in whitelist:
        return "it is not on its provider's whitelist"
    return "it is on its provider's blacklist" if key in (provider.get("blacklist") or ()) else ""


def is_own_address(base_url: str | None, host: str, port: int) -> bool:
    """Tell whether a URL is the gateway's own: a loopback name or HOST, and PORT."""
    try:
        url = urlsplit(base_url or "")
        there, at = (url.hostname or "").lower(), url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError:
        return False
    return at == port and (there == host.lower() or _is_loopback(there))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def is_placeholder_key(key: str, *, from_client: bool = False) -> bool:
    """Tell a key that stands for "put yours here" from a real one.

    From a client also the words that tools want where no key is needed ("not-needed", "sk-dummy-key-not-used", …).
    """
    key = key.strip()
    if not key or _PLACEHOLDER.fullmatch(key):
        return True
    return from_client and (key.lower() in _NO_KEY or bool(_DUMMY.fullmatch(key)))
