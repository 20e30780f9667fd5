"""A model name from a client -> Target: which upstream, which id, which key, which engine. Pure; calls nobody."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from app.errors import ModelNotFound
from app.quirks import families
from app.utils.model_map import Route, is_own_address, is_placeholder_key, route_of, routes_of

if TYPE_CHECKING:
    from app.config import Settings

MOCK = "mock"
ANY = "*"  # the entry that answers for every name which no other entry has
CACHE_LIMIT = 1024  # names differing in case only would otherwise grow it without end

# Keys of provider `options` that belong to OpenCode or its SDK; what is left is ours.
SDK_OPTIONS = frozenset(
    """apiKey baseURL enterpriseUrl setCacheKey timeout headerTimeout chunkTimeout headers name gateway
    supportsStructuredOutputs rawIds""".split()
)
# The AI SDK's names for body fields that OpenCode sends under OpenAI's (openai-compatible 2.0.87).
BODY_NAMES = {"reasoningEffort": "reasoning_effort", "textVerbosity": "verbosity", "serviceTier": "service_tier"}


@dataclass(frozen=True)
class Target:
    """Where one request goes. `requested` is the client's name for it; `model` the upstream's.

    `options` are the gateway's own settings for this model; `body_options` goes under the client's body;
    `entry` is the model's whole entry. `openai_dialect`: the wire is OpenAI's own, at base_url + /chat/completions.
    """

    requested: str
    provider_id: str
    model_key: str
    model: str
    litellm_model: str
    engine_name: str
    base_url: str | None
    api_key: str | None = field(repr=False)
    key_source: str
    headers: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Any]
    body_options: Mapping[str, Any]
    limit: Mapping[str, Any]
    cost: Mapping[str, Any]
    modalities: Mapping[str, Any]
    entry: Mapping[str, Any] = field(repr=False)
    openai_dialect: bool


@dataclass(frozen=True)
class ModelInfo:
    """One row of GET /v1/models. `created` is in seconds; `alias_of` names the upstream model as provider/model."""

    id: str
    provider_id: str
    created: int
    owned_by: str
    name: str
    limit: Mapping[str, Any]
    modalities: Mapping[str, Any]
    cost: Mapping[str, Any]
    alias_of: str | None = None


@dataclass(frozen=True)
class Index:
    """All names of one model map. `names` keeps the first meaning of each name; upstream models come first.

    `spelled` has, in lower case, what upstream ids are called besides: `gpt-oss-20b` and `openai/gpt-oss-20b` are one.
    """

    upstream: Mapping[str, Route]
    names: Mapping[str, Route]
    folded: Mapping[str, tuple[str, ...]]
    spelled: Mapping[str, Route]
    default: Route | None


def resolve_model(name: str, settings: "Settings", client_key: str | None = None) -> Target:
    """Resolve `model`, `provider/model` or an alias. Raises ModelNotFound that lists near names.

    `client_key` is the client's own bearer key; it is used only when no other key is known and settings allow it.
    """
    target: Target | None = settings.cache.get(("target", name))
    if target is None:
        target = _target(name, find_route(name, settings), settings)
        if len(settings.cache) > CACHE_LIMIT:
            settings.cache.clear()
        settings.cache["target", name] = target
    if client_key and target.key_source == "none" and _may_forward(client_key, target, settings):
        return replace(target, api_key=client_key, key_source="client")
    return target


def default_name(settings: "Settings") -> str | None:
    """Return the name that a request without `model` means, None where nothing says.

    The first that is there: MODEL_NAME, the map's own `model` (OpenCode's default) if it is one of this map, the first
    upstream model. It is a short name where that means the same.
    """
    if settings.model_name:
        return settings.model_name
    index = index_of(settings)
    route = index.names.get(str(settings.opencode.data.get("model")))
    meant = aim(route, index, settings) if route and route.alias else route
    if route is None or meant is None:
        route = meant = index.default
    if route is None:
        return None
    short = any(index.names[route.key] is one for one in (route, meant))
    return route.key if short else f"{route.provider_id}/{route.key}"


def is_named(name: str, settings: "Settings") -> bool:
    """Tell whether the map itself has this name, in any spelling; the entry for every name does not count."""
    index = index_of(settings)
    return name in index.names or name.lower() in index.folded or name.lower() in index.spelled


def list_models(settings: "Settings") -> list[ModelInfo]:
    """List each model once, upstream ones first; a name already taken is listed as provider/model."""
    index = index_of(settings)
    found: dict[str, ModelInfo] = {}
    for route in routes_of(settings):
        meant = aim(route, index, settings) if route.alias else route
        if route.hidden or route.key == ANY or meant is None or (route.alias and index.names[route.key] is meant):
            continue  # the last: an alias that only repeats its model's own name
        name = route.key if index.names[route.key] is route else f"{route.provider_id}/{route.key}"
        found[name] = _model_info(name, route, index, settings)
    return sorted(found.values(), key=lambda info: info.alias_of is not None)


def find_route(name: str, settings: "Settings") -> Route:
    """Find the upstream route that a name means, through its alias if it is one. Raises ModelNotFound."""
    index = index_of(settings)
    route = index.names.get(name)
    if route is None:
        same = index.folded.get(name.lower(), ())
        if not same and (spelled := index.spelled.get(name.lower())):
            return spelled
        if len(same) != 1 and name == settings.model_name and (unlisted := unlisted_route(name, index, settings)):
            return unlisted
        if len(same) != 1 and (every := index.upstream.get(ANY)):
            return route_of(every.provider_id, every.provider, name, every.entry, "", settings)
        if len(same) != 1:
            raise ModelNotFound(_no_such_model(name, index), param="model")
        route = index.names[same[0]]
    upstream = aim(route, index, settings) if route.alias else route
    if upstream is None:
        raise ModelNotFound(_no_such_target(name, route, index), param="model")
    return upstream if upstream is route else replace(upstream, entry=_overlaid(upstream.entry, route.entry))


def aim(alias: Route, index: Index, settings: "Settings") -> Route | None:
    """Return the upstream route that an alias stands for, None when what it names does not exist.

    Only upstream routes are looked at, so aliases cannot form a chain or a loop.
    """
    if found := index.upstream.get(alias.upstream_id):
        return found
    if alias.upstream_id != alias.key and alias.upstream_id not in index.names:
        return index.spelled.get(alias.upstream_id.lower())
    wanted = settings.model_name
    if wanted and (wanted in index.upstream or wanted not in index.names):
        listed = index.upstream.get(wanted) or index.spelled.get(wanted.lower())
        return listed or unlisted_route(wanted, index, settings)
    return index.default


def unlisted_route(wanted: str, index: Index, settings: "Settings") -> Route | None:
    """Return a route for a MODEL_NAME that the file does not list: an id at the named provider, else at the one
    with `*`, else at the first.
    """
    for route in index.upstream.values():
        if wanted.startswith(route.provider_id + "/"):
            key = wanted.removeprefix(route.provider_id + "/")
            return route_of(route.provider_id, route.provider, key, {}, "", settings)
    if every := index.upstream.get(ANY):
        return route_of(every.provider_id, every.provider, wanted, every.entry, "", settings)
    first = index.default
    return route_of(first.provider_id, first.provider, wanted, {}, "", settings) if first else None


def index_of(settings: "Settings") -> Index:
    """Return the index of a model map, built once per Settings object."""
    index: Index | None = settings.cache.get("index")
    if index is None:
        index = settings.cache["index"] = _build_index([r for r in routes_of(settings) if not r.hidden])
    return index


def _build_index(routes: list[Route]) -> Index:
    upstream = _named([route for route in routes if not route.alias])
    names = dict(upstream)
    for name, route in _named([route for route in routes if route.alias], ids=False).items():
        names.setdefault(name, route)
    folded: dict[str, tuple[str, ...]] = {}
    for name in names:
        folded[name.lower()] = (*folded.get(name.lower(), ()), name)
    real = [route for route in dict.fromkeys(upstream.values()) if route.key != ANY]
    default = next((route for route in real if route.engine != MOCK), real[0] if real else None)
    return Index(upstream, names, folded, _spelled(real), default)


def _named(routes: list[Route], ids: bool = True) -> dict[str, Route]:
    """Map names to routes; bare keys go before upstream ids, those before provider/key and provider/id."""
    names: dict[str, Route] = {}
    spellings = [lambda r: r.key, lambda r: f"{r.provider_id}/{r.key}"]
    if ids:
        spellings = [spellings[0], lambda r: r.upstream_id, spellings[1], lambda r: f"{r.provider_id}/{r.upstream_id}"]
    for spell in spellings:
        for route in routes:
            names.setdefault(spell(route), route)
    return names


def _spelled(routes: list[Route]) -> dict[str, Route]:
    """Map the other spellings of upstream ids to routes; they are asked for after all names."""
    spelled: dict[str, Route] = {}
    for route in routes:
        for other in (route.model, families.other_spelling(route.upstream_id)):
            if other:
                spelled.setdefault(other.lower(), route)
                spelled.setdefault(f"{route.provider_id}/{other}".lower(), route)
    return spelled


def _target(name: str, route: Route, settings: "Settings") -> Target:
    model, provider = route.model, route.litellm_provider
    base_url, options = route.base_url, dict(_own_options(route))
    family = families.family_of(model, options, base_url)
    if hint := families.dialect_hint(model, provider, route.entry.get("family"), base_url):
        options.setdefault("dialect", hint)
        family = families.family_of(model, options, base_url)
    engine = route.engine or settings.engine
    if engine in families.ENGINE_ADDRESSES and is_own_address(base_url, settings.host, settings.port):
        base_url = None  # OpenCode's way to the gateway, in a file that both read
    base_url = base_url or _usual_address(engine, route, family, settings)
    for option, value in families.ENGINE_OPTIONS.get(engine, {}).items():
        options.setdefault(option, value)
    if engine == MOCK and settings.mock_script:
        options.setdefault("script", settings.mock_script)
    key, source = _key(route, family, base_url, settings, engine)
    entry = route.entry
    return Target(
        requested=name,
        provider_id=route.provider_id,
        model_key=route.key,
        model=model,
        litellm_model=f"{provider}/{model}",
        engine_name=engine,
        base_url=None if engine == MOCK else families.litellm_address(provider, base_url),
        api_key=key,
        key_source=source,
        headers={**(route.options.get("headers") or {}), **(entry.get("headers") or {})},
        options=options,
        body_options={BODY_NAMES.get(key, key): value for key, value in (entry.get("options") or {}).items()},
        limit=entry.get("limit") or {},
        cost=entry.get("cost") or {},
        modalities=entry.get("modalities") or {},
        entry=entry,
        openai_dialect=provider in families.OPENAI_WIRE,
    )


def _usual_address(engine: str, route: Route, family: str, settings: "Settings") -> str | None:
    """Return the address of a provider that names none."""
    if engine == families.RAW_ENGINE:
        return settings.transformers_url
    if engine in families.ENGINE_ADDRESSES:
        return families.ENGINE_ADDRESSES[engine]
    if families.uses_default_relay(route.litellm_provider, family):
        return settings.gemini_api_base
    return families.usual_address(route.litellm_provider, route.npm)


def _own_options(route: Route) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in route.options.items() if key not in SDK_OPTIONS)
    yield from ((key, value) for key, value in route.own.items() if key != "rawId")


def _key(
    route: Route, family: str, base_url: str | None, settings: "Settings", engine: str
) -> tuple[str | None, str]:
    if engine in families.KEYLESS_ENGINES:
        return None, "none"
    given = route.options.get("apiKey")
    if given and not is_placeholder_key(given):
        variable = settings.opencode.sources.get(("provider", route.provider_id, "options", "apiKey"))
        return given, f"env {variable}" if variable else "opencode.json"
    usual = families.key_variables(route.litellm_provider, family, base_url)
    for variable in (*(route.provider.get("env") or ()), *usual):
        value = settings.environ.get(variable)
        if value and not is_placeholder_key(value):
            return value, f"env {variable}"
    return None, "none"


def _may_forward(client_key: str, target: Target, settings: "Settings") -> bool:
    if not settings.forward_client_key or settings.api_keys or target.engine_name in families.KEYLESS_ENGINES:
        return False
    return not is_placeholder_key(client_key, from_client=True)


def _overlaid(upstream: Mapping[str, Any], alias: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what an alias entry says about limits, prices and body options over its upstream's entry."""
    merged = dict(upstream)
    for part in ("limit", "cost", "modalities", "options"):
        if part in alias:
            merged[part] = {**(upstream.get(part) or {}), **alias[part]}
    return merged


def _model_info(name: str, route: Route, index: Index, settings: "Settings") -> ModelInfo:
    upstream = aim(route, index, settings) if route.alias else None
    entry = _overlaid(upstream.entry, route.entry) if upstream else route.entry
    return ModelInfo(
        id=name,
        provider_id=route.provider_id,
        created=_created(entry.get("release_date"), settings.opencode.modified),
        owned_by=route.provider_id,
        name=route.entry.get("name") or route.key,
        limit=entry.get("limit") or {},
        modalities=entry.get("modalities") or {},
        cost=entry.get("cost") or {},
        alias_of=f"{upstream.provider_id}/{upstream.key}" if upstream else None,
    )


def _created(release_date: object, otherwise: int) -> int:
    if isinstance(release_date, str):
        for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
            try:
                return int(datetime.strptime(release_date, form).replace(tzinfo=timezone.utc).timestamp())
            except ValueError:
                continue
    return otherwise


def _no_such_model(name: str, index: Index) -> str:
    shown = name if len(name) <= 100 else name[:100] + "…"
    lower = [match for match in difflib.get_close_matches(name[:200].lower(), list(index.folded), n=5, cutoff=0.5)]
    near = [spelling for folded in lower for spelling in index.folded[folded]]
    if near:
        return f"The model `{shown}` does not exist. Near names: {', '.join(near)}. GET /v1/models lists all."
    some = ", ".join(list(dict.fromkeys(index.names))[:5]) or "none at all"
    return f"The model `{shown}` does not exist. Known are: {some}. GET /v1/models lists all."


def _no_such_target(name: str, alias: Route, index: Index) -> str:
    wanted = alias.upstream_id
    if wanted == alias.key or wanted in index.names:
        wanted = "the first upstream model"
    known = ", ".join(list(index.upstream)[:5]) or "none"
    return f"The model `{name}` stands for {wanted}, which opencode.json does not have. Upstream models: {known}."
