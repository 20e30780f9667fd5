"""Whether an answer that begins with bare JSON, a fence or `name.call(` may as a whole be a call of a declared tool.

An answer is held back only while this is possible: a JSON answer of another kind is known by its first key.
"""

import re
from typing import NamedTuple

from app.emulation.declared_tools import ARGUMENT_KEYS, NAME_KEYS, WRAPPERS, DeclaredTools

LONGEST_HEAD = 300
FENCE_WORDS = ("", "json", "tool_call", "tool_code", "tool")
TYPES = ("function", "function_call", "tool_call", "tool_use")
CALL = ".call"
_KEYS = (*NAME_KEYS, *ARGUMENT_KEYS, *WRAPPERS, "type")
_FENCE = re.compile(r"```([\w-]*)\s*")
_OPENING = re.compile(r"\[?\s*")
_OBJECT = re.compile(r"\{\s*")
_COLON = re.compile(r"\s*:\s*")
_WORD = re.compile(r"[\w.:/-]+")


class Start(NamedTuple):
    """Where the value of a possible call begins, -1 when there can be none; the tool, of `name.call(`; the fence."""

    at: int
    name: str = ""
    fenced: bool = False


NO = Start(-1)


def find_start(text: str, at: int, tools: DeclaredTools, final: bool) -> Start | None:
    """Look at an answer from its first character on; None when more of it is needed."""
    head = text[at : at + LONGEST_HEAD]
    found = _look(head, tools)
    if found is None:
        return NO if final or len(head) == LONGEST_HEAD else None
    return found._replace(at=at + found.at) if found.at >= 0 else NO


def _look(head: str, tools: DeclaredTools) -> Start | None:
    at = 0
    if head[0] == "`":
        fence = _FENCE.match(head)
        if fence is None:
            return None if "```".startswith(head) else NO
        word, at = fence[1].lower(), fence.end()
        if not any(known.startswith(word) for known in FENCE_WORDS) or (at > fence.end(1) and word not in FENCE_WORDS):
            return NO
        if at == len(head):
            return None
    if head[at] in "{[":
        possible = _json_begins(head, at, tools)
        return None if possible is None else Start(at, "", at > 0) if possible else NO
    return _call_begins(head, at, tools)


def _call_begins(head: str, at: int, tools: DeclaredTools) -> Start | None:
    found = _WORD.match(head, at)
    if found is None:
        return NO
    word, end = found[0], found.end()
    if end == len(head):
        return None if tools.begins(word, CALL) else NO
    name = tools.find(word.removesuffix(CALL)) if head[end] == "(" and word.endswith(CALL) else None
    return Start(end, name, at > 0) if name else NO


def _json_begins(head: str, at: int, tools: DeclaredTools) -> bool | None:
    """Look at the first key of the first object, and at its value where that is a name."""
    for opening in (_OPENING, _OBJECT):
        found = opening.match(head, at)
        if found is None:
            return False
        at = found.end()
        if at == len(head):
            return None
    if head[at] not in "\"'":
        return False
    end = head.find(head[at], at + 1)
    key = head[at + 1 : end] if end >= 0 else head[at + 1 :]
    if end < 0:
        return None if any(known.startswith(key) for known in _KEYS) else False
    if key in ARGUMENT_KEYS or key in WRAPPERS:
        return True
    colon = _COLON.match(head, end + 1)
    if key not in _KEYS or (colon is None and head[end + 1 :].strip()):
        return False
    if colon is None or colon.end() == len(head):
        return None
    return _name_begins(head, colon.end(), key, tools)


def _name_begins(head: str, at: int, key: str, tools: DeclaredTools) -> bool | None:
    quote = head[at]
    if quote not in "\"'":
        return key == "function" and quote == "{"
    end = head.find(quote, at + 1)
    name = head[at + 1 : end] if end >= 0 else head[at + 1 :]
    if end < 0:
        begins = any(known.startswith(name) for known in TYPES) if key == "type" else tools.begins(name)
        return None if begins else False
    return name in TYPES if key == "type" else tools.find(name) is not None
