"""Shorten what is too long to print: knows lengths and the shape of a tools list; masks nothing, so mask first.

Nothing is changed in place; what is short enough is returned as it is, not copied.
"""

from collections.abc import Mapping

LONGEST = 10_000
HEAD = 1_000
DATA_URL_HEAD = 64
ENDING = "... ({count} characters in all)"


def summarise(value: object, ending: str = ENDING, longest: int = LONGEST) -> object:
    """Cut strings of `longest` characters or more to their first 1,000 and `ending`; cut data: URLs to 64.

    `ending` is a template with `{count}`, the length in characters. Dicts and lists are walked.
    """
    if isinstance(value, str):
        return _shorten(value, ending, longest)
    if isinstance(value, Mapping):
        items = {key: summarise(item, ending, longest) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, list):
        entries = [summarise(item, ending, longest) for item in value]
        return entries if any(new is not old for new, old in zip(entries, value, strict=True)) else value
    return value


def summarise_tools(tools: list) -> list:
    """Return the first tool whole and the others by their names."""
    return [*tools[:1], *(tool_name(tool) for tool in tools[1:])]


def tool_name(tool: object) -> str:
    """Read the name of a tool in OpenAI's form, of a bare function, or of a built-in tool by its type."""
    if not isinstance(tool, Mapping):
        return str(tool)
    function = tool.get("function")
    source = function if isinstance(function, Mapping) else tool
    name = source.get("name") or tool.get("type") or "?"
    return name if isinstance(name, str) else "?"


def _shorten(text: str, ending: str, longest: int) -> str:
    if text.startswith("data:") and len(text) > 4 * DATA_URL_HEAD:
        head = DATA_URL_HEAD
    elif len(text) >= longest:
        head = min(HEAD, longest)
    else:
        return text
    return text[:head] + ending.format(count=len(text))
