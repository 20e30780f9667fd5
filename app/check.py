"""Look over settings and model map for what would surprise a user: returns findings, prints nothing, calls nobody."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.config import ENGINES, ROOT, Settings, check_bind
from app.errors import ConfigError, ModelNotFound
from app.opencode_config import decode_config, find_config, shape_problems
from app.quirks import families
from app.utils import model_map
from app.utils.model_map import Route, is_placeholder_key, routes_of
from app.utils.model_resolver import Target, aim, index_of, resolve_model

ERROR, WARNING = "error", "warning"
NO_CALL = (model_map.MOCK, model_map.REPLAY)  # engines that call nobody


@dataclass(frozen=True)
class Finding:
    """One remark. `level` is "error" (something cannot work) or "warning"; `path` is dotted, as in the file."""

    level: str
    path: str
    message: str


def check(
    source: Settings | Path | str | None = None, environ: Mapping[str, str] = os.environ, dotenv: bool = True
) -> list[Finding]:
    """Check settings, or the opencode.json at a path, or (None) what a start would use. Raises nothing of ours."""
    if not isinstance(source, Settings):
        environ = environ if source is None else {**environ, "OPENCODE_CONFIG": str(source)}
        try:
            source = Settings.load(environ, dotenv)
        except ConfigError as error:
            return _broken(error, environ)
    found: list[Finding] = []
    for look in LOOKS:
        found.extend(look(source))
    return sorted(dict.fromkeys(found), key=lambda finding: finding.level != ERROR)


def _broken(error: ConfigError, environ: Mapping[str, str]) -> list[Finding]:
    path = find_config(environ.get("OPENCODE_CONFIG"), ROOT)
    try:
        data, _ = decode_config(path.read_text("utf-8"), environ, path.parent, str(path)) if path else ({}, [])
    except (ConfigError, OSError, UnicodeDecodeError):
        data = {}
    faults = [Finding(ERROR, where, what) for where, what in shape_problems(data)]
    return faults or [Finding(ERROR, str(path or "environment"), str(error))]


# --- the whole -----------------------------------------------------------------------------------------------------


def check_whole(settings: Settings) -> Iterator[Finding]:
    if settings.problem:
        yield Finding(WARNING, "opencode.json", settings.problem)
    try:
        check_bind(settings)
    except ConfigError as error:
        yield Finding(ERROR, "HOST", str(error))
    index = index_of(settings)
    if not index.upstream:
        yield Finding(ERROR, "provider", "no usable upstream model: every request would get a 404")
    if settings.model_name and settings.model_name not in index.names:
        yield Finding(WARNING, "MODEL_NAME", f"`{settings.model_name}` is not in the model map; sent upstream as it is")


def check_variables(settings: Settings) -> Iterator[Finding]:
    closed = {route.provider_id for route in routes_of(settings) if route.alias or route.engine in NO_CALL}
    for where, variable in settings.opencode.missing:
        steps = where.split(".")
        if len(steps) > 1 and (steps[1] in closed or where.endswith(".options.apiKey")):
            continue  # a key may come from elsewhere: _check_key looks at what came of it
        yield Finding(WARNING, where, f"the variable {variable} is not set")


def check_names(settings: Settings) -> Iterator[Finding]:
    data = settings.opencode.data
    for key in ("enabled_providers", "disabled_providers"):
        for provider_id in data.get(key) or ():
            if provider_id not in settings.opencode.providers:
                yield Finding(WARNING, key, f"there is no provider `{provider_id}` in this file")
    for key in ("model", "small_model"):
        provider_id, _, model = str(data.get(key) or "").partition("/")
        provider = settings.opencode.providers.get(provider_id)
        if provider is not None and model not in (provider.get("models") or {}):
            yield Finding(WARNING, key, f"provider `{provider_id}` has no model `{model}`")


# --- providers -----------------------------------------------------------------------------------------------------


def check_providers(settings: Settings) -> Iterator[Finding]:
    for provider_id, provider in settings.opencode.providers.items():
        where, models = f"provider.{provider_id}", provider.get("models") or {}
        options = provider.get("options") or {}
        if not models:
            yield Finding(WARNING, where, "it lists no models, so the gateway serves none of it")
        npm = provider.get("npm")
        if npm and npm not in families.NPM_PROVIDERS:
            yield Finding(WARNING, f"{where}.npm", f"`{npm}` is not known; taken as an OpenAI-compatible endpoint")
        for key, names in (("whitelist", provider.get("whitelist")), ("blacklist", provider.get("blacklist"))):
            for name in names or ():
                if name not in models:
                    yield Finding(WARNING, f"{where}.{key}", f"`{name}` is not one of its models")
        for name in options.get("gateway") or {}:
            if name not in models:
                yield Finding(WARNING, f"{where}.options.gateway.{name}", "there is no such model in this provider")
        yield from _check_address(f"{where}.options.baseURL", options.get("baseURL"))


def _check_address(where: str, base_url: str | None) -> Iterator[Finding]:
    if not base_url or base_url == model_map.MOCK_URL or base_url.startswith(model_map.REPLAY_URL):
        return
    try:
        url = urlsplit(base_url)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        sound = False
    if not sound or "${" in base_url:
        yield Finding(ERROR, where, "is not an http:// or https:// address")


# --- models --------------------------------------------------------------------------------------------------------


def check_models(settings: Settings) -> Iterator[Finding]:
    for route in routes_of(settings):
        where = f"provider.{route.provider_id}.models.{route.key}"
        if route.hidden:
            yield Finding(WARNING, where, f"no client can use it: {route.hidden}")
            continue
        yield from _check_limit(where, route)
        yield from (_check_alias if route.alias else _check_upstream)(where, route, settings)


def _check_alias(where: str, route: Route, settings: Settings) -> Iterator[Finding]:
    index = index_of(settings)
    upstream = aim(route, index, settings)
    if upstream is None:
        yield Finding(ERROR, where, f"leads nowhere: no upstream model answers to `{route.upstream_id}`")
        return
    if route.engine in model_map.WIRE_ENGINES:
        what = f"engine `{route.engine}` at the gateway's own address would call itself; taken as an alias"
        yield Finding(WARNING, f"provider.{route.provider_id}.options.engine", what)
    taken = index.names[route.key]
    if taken is not route and taken is not upstream:
        yield Finding(WARNING, where, _shadowed(route, taken))
    if surprise := families.client_surprise(route.key, families.family_of(upstream.model, upstream.options)):
        yield Finding(WARNING, where, surprise)


def _check_upstream(where: str, route: Route, settings: Settings) -> Iterator[Finding]:
    if (taken := index_of(settings).names[route.key]) is not route:
        yield Finding(WARNING, where, _shadowed(route, taken))
    engine = route.engine or settings.engine
    if engine not in ENGINES:
        own = f"options.gateway.{route.key}.engine" if route.own.get("engine") else "options.engine"
        message = f"unknown engine `{engine}`; known are {', '.join((*ENGINES, model_map.ALIAS))}"
        yield Finding(ERROR, f"provider.{route.provider_id}.{own}", message)
    elif engine == model_map.REPLAY:
        yield from _check_captures(where, route, settings)
    elif engine != model_map.MOCK:
        yield from _check_call(where, route, settings)


def _check_captures(where: str, route: Route, settings: Settings) -> Iterator[Finding]:
    from app.engines import replay

    try:
        target = resolve_model(f"{route.provider_id}/{route.key}", settings)
        replay.speed_of(target)
        if not replay.session_of(target).entries:
            yield Finding(WARNING, where, "there is no capture that can be replayed")
    except (ConfigError, ModelNotFound) as error:
        yield Finding(ERROR, where, str(error))


def _check_call(where: str, route: Route, settings: Settings) -> Iterator[Finding]:
    try:
        target = resolve_model(f"{route.provider_id}/{route.key}", settings)
    except ModelNotFound as error:  # another provider's model has this very name
        yield Finding(WARNING, where, str(error))
        return
    provider = f"provider.{route.provider_id}"
    if surprise := families.client_surprise(route.key, families.family_of(target.model, target.options)):
        yield Finding(WARNING, where, surprise)
    if target.engine_name == "relay" and not target.openai_dialect:
        message = f"the relay engine speaks OpenAI's dialect only, not that of {route.npm}; use litellm"
        yield Finding(ERROR, f"{provider}.options.engine", message)
    if not (target.base_url or _may_be_named_later(provider, target, settings)) and (
        target.engine_name == "relay" or not _has_default_address(route)
    ):
        yield Finding(ERROR, f"{provider}.options.baseURL", "no address: neither baseURL nor api is set")
    if target.engine_name not in families.KEYLESS_ENGINES:
        yield from _check_key(provider, route, target, settings)


def _check_key(provider: str, route: Route, target: Target, settings: Settings) -> Iterator[Finding]:
    given = str(route.options.get("apiKey") or "")
    if given and is_placeholder_key(given):
        instead = f"; the key comes from {target.key_source}" if target.api_key else ""
        yield Finding(WARNING, f"{provider}.options.apiKey", f"is a placeholder and counts as no key{instead}")
    elif not target.api_key and not given and target.engine_name not in (*families.KEYLESS_ENGINES, families.RAW_ENGINE):
        named = settings.opencode.sources.get(("provider", route.provider_id, "options", "apiKey"))
        usual = families.key_variables(route.litellm_provider, families.family_of(target.model), target.base_url)
        hint = f"set {named or usual[0]}, or " if named or usual else ""
        yield Finding(WARNING, f"{provider}.options.apiKey", f"no key: {hint}clients must send the upstream's key")


def _may_be_named_later(provider: str, target: Target, settings: Settings) -> bool:
    """A server of one's own is not everybody's: that its address is a variable not set yet is a warning (see above)."""
    unset = (where == f"{provider}.options.baseURL" for where, _ in settings.opencode.missing)
    return target.engine_name == families.RAW_ENGINE and any(unset)


def _has_default_address(route: Route) -> bool:
    """LiteLLM knows where its native providers live, and api.openai.com for OpenAI's own package."""
    return route.litellm_provider != families.OPENAI or route.npm != families.DEFAULT_NPM


def _check_limit(where: str, route: Route) -> Iterator[Finding]:
    limit = route.entry.get("limit") or {}
    for key in ("context", "input", "output"):
        if key in limit and (limit[key] <= 0 or limit[key] != int(limit[key])):
            yield Finding(WARNING, f"{where}.limit.{key}", "must be a whole number above 0")
    if 0 < limit.get("context", 0) < limit.get("output", 0):
        yield Finding(WARNING, f"{where}.limit", "output is larger than context")


def _shadowed(route: Route, taken: Route) -> str:
    return (
        f"`{route.key}` means {taken.provider_id}/{taken.key}; this one is reached as {route.provider_id}/{route.key}"
    )


LOOKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_whole,
    check_variables,
    check_names,
    check_providers,
    check_models,
)
