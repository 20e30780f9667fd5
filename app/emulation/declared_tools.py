"""The tools of a request by name, and the calls that a value written by a model asks for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.emulation.events import Call
from app.emulation.tool_schema import fit_arguments
from app.utils.json_text import dump

NAME_KEYS = ("name", "tool", "tool_name", "function")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "tool_input", "input")
WRAPPERS = ("tool_calls", "tool_call")
BESIDE = frozenset((*NAME_KEYS, *ARGUMENT_KEYS, "type", "id", "index"))
PREFIXES = ("functions.", "functions:", "default_api.", "default_api:")
MAX_NESTING = 4

CUT_OFF = "the call was cut off"
CLOSED, REPAIRED, NAMED, GATHERED = "closed", "JSON repaired", "name corrected", "arguments stood beside the name"
NOTHING = object()


class Written(NamedTuple):
    """One call as it was written: its tool's name ("" where there is none) and what stands for arguments."""

    name: str
    arguments: object
    whole: object  # the value it was read from
    gathered: bool = False  # the arguments stood beside the name


class DeclaredTools:
    """Finds declared tools by the names that models give them, and makes calls of them."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self._schemas: dict[str, Mapping[str, Any] | None] = {}
        for tool in tools:
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                schema = function.get("parameters")
                self._schemas[function["name"]] = schema if isinstance(schema, Mapping) else None
        self._lower: dict[str, str | None] = {}
        for name in self._schemas:
            self._lower[name.lower()] = None if name.lower() in self._lower else name
        self._spellings = tuple(f"{prefix}{name}" for name in self._lower for prefix in ("", *PREFIXES))

    def find(self, name: object) -> str | None:
        """Return the declared name that is meant: case and a prefix of the dialect's own do not count."""
        if not isinstance(name, str):
            return None
        if name in self._schemas:
            return name
        plain = name.strip()
        for prefix in PREFIXES:
            plain = plain.removeprefix(prefix)
        return plain if plain in self._schemas else self._lower.get(plain.lower())

    def begins(self, text: str, ending: str = "") -> bool:
        """Tell whether `text` may be the beginning of a declared name, `ending` behind it."""
        lower = text.lower()
        return any((spelling + ending).startswith(lower) for spelling in self._spellings)

    def properties(self, name: str) -> Mapping[str, Any]:
        """Return the declared parameters of a tool."""
        found = (self._schemas.get(name) or {}).get("properties")
        return found if isinstance(found, Mapping) else {}

    def read(self, value: object, nesting: int = 0) -> Iterator[Written]:
        """Yield the calls in a value: an object, a list of them, or `{"tool_calls": […]}`."""
        if isinstance(value, list):
            for item in value:
                yield from self.read(item, nesting + 1) if nesting < MAX_NESTING else ()
            return
        if not isinstance(value, dict):
            yield Written("", NOTHING, value)
            return
        for key in WRAPPERS:
            if isinstance(value.get(key), (list, dict)) and nesting < MAX_NESTING:
                yield from self.read(value[key], nesting + 1)
                return
        inner = value.get("function")
        if isinstance(inner, dict):
            name = self._name_in(inner) or self._name_in(value)
            found = _first_arguments(inner)
            yield Written(name, found if found is not NOTHING else _first_arguments(value), value)
            return
        yield self._read_flat(value)

    def _read_flat(self, value: dict[str, Any]) -> Written:
        name, found = self._name_in(value), _first_arguments(value)
        if found is not NOTHING:
            return Written(name, found, value)
        known = self.find(name)
        if known:
            beside = {key: item for key, item in value.items() if key not in BESIDE or key in self.properties(known)}
            beside = {key: item for key, item in beside.items() if item is not name}
            return Written(name, beside, value, True) if beside else Written(name, NOTHING, value)
        if not name and len(value) == 1:
            ((only, inside),) = value.items()
            if isinstance(inside, dict) and self.find(only):
                return Written(only, inside, value)  # {"read": {"filePath": "a"}}
        return Written(name, NOTHING, value)

    def _name_in(self, value: Mapping[str, Any]) -> str:
        """Return the first declared name under one of the keys of names, else the first name, else ""."""
        names = [value[key] for key in NAME_KEYS if isinstance(value.get(key), str) and value[key].strip()]
        return next(filter(self.find, names), names[0] if names else "")

    def make(self, written: Written, raw: str, notes: Sequence[str] = (), problem: str | None = None) -> Call | None:
        """Make the call, its arguments fitted; None when its name is not declared."""
        name = self.find(written.name)
        if name is None:
            return None
        named = (NAMED,) if name != written.name else ()
        gathered = (GATHERED,) if written.gathered else ()
        given = {} if written.arguments is NOTHING else written.arguments
        try:
            fitted = fit_arguments(given, self._schemas[name])
            arguments = dump(fitted.arguments).decode()
        except RecursionError:
            return Call(name, "{}", "the arguments are nested too deep", tuple(notes), raw)
        return Call(name, arguments, problem or fitted.problem, (*notes, *named, *gathered, *fitted.notes), raw)


def _first_arguments(value: object) -> object:
    """Return what stands under one of the keys of arguments; `{}` is not nothing."""
    if not isinstance(value, Mapping):
        return NOTHING
    return next((value[key] for key in ARGUMENT_KEYS if key in value), NOTHING)
