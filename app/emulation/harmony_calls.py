"""Recipients and bodies of Harmony messages -> calls of declared tools; knows no headers, no markers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from app.emulation.events import Call
from app.emulation.harmony_guard import HARMONY, JOINER, SIMPLE
from app.emulation.harmony_json import repaired
from app.emulation.json_end import JsonEnd
from app.emulation.tool_schema import WRAPPED, fit_arguments
from app.utils.json_text import dump

NAMESPACE = "functions."
EMPTY, REPAIRED = "no arguments", "JSON repaired"
# A control token that the prompt broke, so that it is text: what the model copies from there is the client's text.
_BROKEN = re.compile(rf"<(?:{JOINER}|\\u200[dD])(?=\|(?:{'|'.join(HARMONY + SIMPLE)})\|>)")
# What begins like JSON, a fence, a tag or a list of arguments was meant as such.
_NO_TEXT = tuple("{[(\"'`<")
# "get_weatherjson": the seam of a name and what followed it, where the token between them is lost.
_GLUED = re.compile(r"(?:commentary|analysis)?\s*(?:json|code)?$")


class HarmonyTools:
    """The tools that a model may call.

    `declared` maps a name as it was sent to the client's own name; the client's own name is understood too. `tools` is
    OpenAI's list; with it, arguments are checked against the tool's schema.
    """

    def __init__(self, declared: Mapping[str, str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        self._names = {own: own for own in declared.values()} | dict(declared)
        alike: dict[str, set[str]] = {}
        for name, own in self._names.items():
            alike.setdefault(name.lower(), set()).add(own)
        self._lower = {name: owns.pop() for name, owns in alike.items() if len(owns) == 1}
        self._schemas = dict(_schemas(tools))

    def find(self, recipient: str) -> str | None:
        """Return the client's name of the tool that a recipient means, None when no declared tool is meant.

        Case does not count where one declared name alone is alike; tokens that leaked into the name are cut off.
        """
        name = recipient.partition("<|")[0].strip()
        plain = name.removeprefix(NAMESPACE)
        for spelling in (plain, name, plain.rstrip(".,:;"), _GLUED.sub("", plain, count=1)):
            if spelling in self._names:
                return self._names[spelling]
        return self._lower.get(plain.lower())

    def call(self, name: str, text: str, raw: str, notes: tuple[str, ...] = (), bare: bool = False) -> Call:
        """Return the call of tool `name` (the client's) whose arguments are `text`: as they are, when they are sound.

        What cannot be read stays as it is too, and is a problem; `bare` says that it may be the one text that a tool takes.
        """
        arguments = unbroken(text.strip())
        try:
            value = orjson.loads(arguments or "{}")
        except ValueError as error:
            value = repaired(arguments)
            if value is None and bare and self._takes_text(name, arguments):
                value = arguments
            elif value is None:
                return Call(name, arguments, f"the arguments are not JSON: {error}", notes, raw)
            else:
                arguments, notes = dump(value).decode(), (*notes, REPAIRED)
        notes = notes if arguments else (*notes, EMPTY)
        schema = self._schemas.get(name)
        if isinstance(value, dict) and schema is None:
            return Call(name, arguments or "{}", None, notes, raw)
        try:
            fitted = fit_arguments(value, schema)
            if fitted.notes or not (fitted.problem or isinstance(value, dict)):
                arguments = dump(fitted.arguments).decode()
        except RecursionError:
            return Call(name, arguments, "the arguments are nested too deep", notes, raw)
        return Call(name, arguments or "{}", fitted.problem, (*notes, *fitted.notes), raw)


    def _takes_text(self, name: str, text: str) -> bool:
        """Tell whether arguments that are no JSON are the one text that a tool takes: a patch, a command, code."""
        if text[:1] in _NO_TEXT:
            return False
        fitted = fit_arguments(text, self._schemas.get(name))
        whole = fitted.problem is None and fitted.notes == (WRAPPED,)
        return whole and not any(re.match(rf"{re.escape(key)}\s*[=:]", text) for key in fitted.arguments)


def unbroken(text: str) -> str:
    """Return `text` without the joiners that the prompt put into control tokens."""
    return _BROKEN.sub("<", text) if JOINER in text or "\\u200" in text else text


def _schemas(tools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in tools:
        function = tool.get("function")
        if isinstance(function, Mapping) and isinstance(function.get("parameters"), Mapping):
            yield str(function.get("name")), function["parameters"]


def is_cut(text: str) -> bool:
    """Tell whether arguments end before they are whole; what never was JSON is not cut."""
    plain = text.strip()
    if not plain.startswith(("{", "[")):
        return not plain
    return JsonEnd().feed(plain) < 0
