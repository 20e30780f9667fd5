"""opencode.json in OpenCode's own dialect -> OpencodeConfig; knows syntax and shape, not what a model resolves to."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import ConfigError
from app.quirks.families import BUILT_IN
from app.utils import jsonc

ENV = re.compile(r"\{env:([^}]+)\}")
FILE = re.compile(r"\{file:([^}]+)\}")
DOLLAR = re.compile(r"\$\{([^}]+)\}")
FILE_NAMES = ("opencode.json", "opencode.jsonc")

Place = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class OpencodeConfig:
    """One opencode.json as read.

    `data` is the whole file with all placeholders replaced. `sources` tells which environment variable fed which
    value (only values that are one placeholder and nothing else). `missing` lists variables that were not set.
    `watched` are the files whose change makes a re-read worthwhile. `problem` says why this is not the user's file.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: Path | None = None
    sources: Mapping[Place, str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()
    watched: tuple[Path, ...] = ()
    modified: int = 0
    problem: str | None = None

    @property
    def providers(self) -> Mapping[str, Mapping[str, Any]]:
        return self.data.get("provider") or {}


def find_config(named: str | None, root: Path) -> Path | None:
    """Return the file to read: the one named by OPENCODE_CONFIG, else opencode.json or .jsonc in `root`, else None."""
    if named:
        return Path(named).expanduser()
    return next((root / name for name in FILE_NAMES if (root / name).is_file()), None)


def read_config(path: Path | None, environ: Mapping[str, str], root: Path) -> OpencodeConfig:
    """Read a model map; without any file, the built-in one with `problem` set.

    Raises ConfigError for a missing, unreadable or broken file; it names the place and never quotes a value.
    """
    if path is None:
        built_in = config_from_text(json.dumps(BUILT_IN), environ, root)
        watched = tuple(root / name for name in FILE_NAMES)
        problem = f"no opencode.json in {root}: the built-in model map is used"
        return OpencodeConfig(data=built_in.data, sources=built_in.sources, watched=watched, problem=problem)
    try:
        text, modified = path.read_text("utf-8"), int(path.stat().st_mtime)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from None
    return config_from_text(text, environ, path.parent, path, modified)


def config_from_text(
    text: str, environ: Mapping[str, str], folder: Path, path: Path | None = None, modified: int = 0
) -> OpencodeConfig:
    """Replace placeholders, decode and check the shape. `folder` is what `{file:…}` is relative to."""
    label = str(path or "opencode.json")
    data, files = decode_config(text, environ, folder, label)
    if broken := list(shape_problems(data)):
        raise ConfigError(f"{label}: " + "; ".join(f"{where}: {what}" for where, what in broken[:5]))
    uses = list(_env_uses(text))
    _expand_addresses(data, environ)
    return OpencodeConfig(
        data=data,
        path=path,
        sources={where: found[1] for where, value in uses if (found := ENV.fullmatch(value.strip()))},
        missing=tuple(
            (dotted(where), name) for where, value in uses for name in ENV.findall(value) if not environ.get(name)
        ),
        watched=tuple(([path] if path else []) + files),
        modified=modified,
    )


def decode_config(text: str, environ: Mapping[str, str], folder: Path, label: str) -> tuple[dict[str, Any], list[Path]]:
    """Replace placeholders and decode, without a look at the shape; also return the files that `{file:…}` named."""
    files: list[Path] = []
    # OpenCode's order: variables first, then files; both textual, before the text is parsed.
    filled = _fill_files(ENV.sub(lambda found: environ.get(found[1], ""), text), folder, label, files)
    return _decode(filled, text, label), files


def dotted(where: Place) -> str:
    """Write a path into the file as people do: provider.foo.models.bar.limit."""
    return ".".join(str(step) for step in where) or "(the whole file)"


def _fill_files(text: str, folder: Path, label: str, files: list[Path]) -> str:
    def fill(found: re.Match[str]) -> str:
        line_start = found.string.rfind("\n", 0, found.start()) + 1
        if found.string[line_start : found.start()].lstrip().startswith("//"):
            return found[0]
        path = folder / Path(found[1].strip()).expanduser()
        try:
            content = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError, RuntimeError) as error:
            line = found.string.count("\n", 0, found.start()) + 1
            raise ConfigError(
                f"{label}: line {line}: {{file:{found[1]}}} cannot be read ({type(error).__name__})"
            ) from None
        files.append(path)
        return json.dumps(content, ensure_ascii=False)[1:-1]

    return FILE.sub(fill, text)


def _decode(filled: str, text: str, label: str) -> dict[str, Any]:
    try:
        data = jsonc.decode(filled)
    except jsonc.JsoncError as error:
        try:
            jsonc.decode(text)
        except jsonc.JsoncError as in_the_file:
            raise ConfigError(f"{label}: {in_the_file}") from None
        # The file itself is sound: a variable's value (a quote, a line end) broke it. Naming all is safer than a guess.
        names = ", ".join(sorted(set(ENV.findall(text))))
        raise ConfigError(f"{label}: broken by the value of one of {names}: {error.reason}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{label}: must be an object")
    return data


def _env_uses(text: str) -> Iterator[tuple[Place, str]]:
    """Yield (path, value) of each string with a `{env:…}` in it; nothing when placeholders stand outside strings."""
    try:
        raw = jsonc.decode(text)
    except jsonc.JsoncError:
        return
    for where, value in _strings(raw, ()):
        if ENV.search(value):
            yield where, value


def _strings(value: Any, where: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, (*where, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _strings(inner, (*where, number))


def _expand_addresses(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Expand `${VAR}` in addresses, as OpenCode does; an unknown variable stays as it is written."""

    def expand(holder: Any, key: str) -> None:
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = DOLLAR.sub(lambda found: environ.get(found[1]) or found[0], holder[key])

    for provider in (data.get("provider") or {}).values():
        expand(provider, "api")
        expand(provider.get("options"), "baseURL")
        for model in (provider.get("models") or {}).values():
            expand(model.get("provider"), "api")


# --- shape: only what the gateway reads; unknown keys never fail -------------------------------------------------

Shape = tuple[str, Callable[[Any], bool]]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_name_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


OBJECT: Shape = ("an object", lambda value: isinstance(value, dict))
TEXT: Shape = ("a string", lambda value: isinstance(value, str))
FLAG: Shape = ("true or false", lambda value: isinstance(value, bool))
NUMBER: Shape = ("a number", _is_number)
NAMES: Shape = ("a list of strings", _is_name_list)

TOP = {"provider": OBJECT, "model": TEXT, "small_model": TEXT, "enabled_providers": NAMES, "disabled_providers": NAMES}
PROVIDER = {"api": TEXT, "name": TEXT, "env": NAMES, "id": TEXT, "npm": TEXT}
PROVIDER |= {"whitelist": NAMES, "blacklist": NAMES, "options": OBJECT, "models": OBJECT}
OPTIONS = {"apiKey": TEXT, "baseURL": TEXT, "headers": OBJECT, "engine": TEXT, "dialect": TEXT, "gateway": OBJECT}
OPTIONS |= {"rawIds": FLAG}
MODEL = {"id": TEXT, "name": TEXT, "family": TEXT, "release_date": TEXT, "attachment": FLAG, "reasoning": FLAG}
MODEL |= {"temperature": FLAG, "tool_call": FLAG, "cost": OBJECT, "limit": OBJECT, "modalities": OBJECT}
MODEL |= {"status": TEXT, "provider": OBJECT, "options": OBJECT, "headers": OBJECT, "variants": OBJECT}
LIMIT = {"context": NUMBER, "input": NUMBER, "output": NUMBER}
COST = {"input": NUMBER, "output": NUMBER, "cache_read": NUMBER, "cache_write": NUMBER}
MODALITIES = {"input": NAMES, "output": NAMES}
MODEL_PROVIDER = {"npm": TEXT, "api": TEXT}
GATEWAY_MODEL = {"engine": TEXT, "dialect": TEXT, "rawId": FLAG}


def shape_problems(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, what it must be) for each value of a wrong type, in file order."""
    yield from _check_object((), data, TOP)
    for provider_id, provider in _objects(data.get("provider")):
        where: Place = ("provider", provider_id)
        yield from _check_object(where, provider, PROVIDER)
        if isinstance(provider, dict):
            yield from _check_options((*where, "options"), provider.get("options"))
            for key, model in _objects(provider.get("models")):
                yield from _check_model((*where, "models", key), model)


def _check_options(where: Place, options: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(options, dict):
        return
    yield from _check_object(where, options, OPTIONS)
    yield from _check_texts((*where, "headers"), options.get("headers"))
    for key, own in _objects(options.get("gateway")):
        yield from _check_object((*where, "gateway", key), own, GATEWAY_MODEL)


def _check_model(where: Place, model: Any) -> Iterator[tuple[str, str]]:
    yield from _check_object(where, model, MODEL)
    if not isinstance(model, dict):
        return
    parts = (("limit", LIMIT), ("cost", COST), ("modalities", MODALITIES), ("provider", MODEL_PROVIDER))
    for key, fields in parts:
        if isinstance(model.get(key), dict):
            yield from _check_object((*where, key), model[key], fields)
    yield from _check_texts((*where, "headers"), model.get("headers"))


def _check_object(where: Place, value: Any, fields: Mapping[str, Shape]) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield dotted(where), "must be an object"
        return
    for key, (kind, fits) in fields.items():
        if key in value and not fits(value[key]):
            yield dotted((*where, key)), f"must be {kind}"


def _check_texts(where: Place, value: Any) -> Iterator[tuple[str, str]]:
    for key, text in _objects(value):
        if not isinstance(text, str):
            yield dotted((*where, key)), "must be a string"


def _objects(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
