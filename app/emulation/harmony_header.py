"""The header of a Harmony message: role, channel, recipient. Knows the ways in which models were seen to misspell it.

`<|start|>{role}[ to=RECIPIENT]<|channel|>CHANNEL[ to=RECIPIENT][ <|constrain|>TYPE]<|message|>` is the sound form
(openai/harmony docs/format.md). Its parts are read one by one, so a doubled, missing or misplaced one spoils no other.
"""

import re
from typing import NamedTuple

from app.emulation.marks import Marks

NAMES = ("start", "end", "message", "channel", "constrain", "return", "call")
START, END, MESSAGE, CHANNEL, CONSTRAIN, RETURN, CALL = (f"<|{name}|>" for name in NAMES)
MARKERS = Marks(f"<|{name}|>" for name in NAMES)

ANALYSIS, COMMENTARY, FINAL = CHANNELS = ("analysis", "commentary", "final")
ASSISTANT = "assistant"
# Whose messages a model invents that goes on after its own; tools have the names of their functions as roles.
OTHERS = ("user", "system", "developer", "tool")

_PARTS = re.compile(f"({re.escape(CHANNEL)}|{re.escape(CONSTRAIN)})")
# "commentary?", "––commentary" (llama.cpp #27720, openai/harmony #38)
_CHANNEL = re.compile(rf"[^A-Za-z]*({'|'.join(CHANNELS)})(?![A-Za-z])", re.IGNORECASE)
_NAME = r"[^\s{}()\[\]\"'<>|]+"
_RECIPIENT = re.compile(rf"\bto=\s*({_NAME})")
_RECIPIENTS = re.compile(rf"[^A-Za-z{{\[]*(?:\bto=\s*{_NAME}\s*)+(?:(?:json|code)\b\s*)?")
_NAMED = re.compile(rf"(?<![\w.=])(functions\.{_NAME})")
_TYPE = re.compile(r"\s*(?:functions\.[^\s{}]+|[A-Za-z_]*)\s*")
# What may stand before a channel when `<|start|>` is missing; anything else there is junk.
_IMPLIED = re.compile(
    rf"\s*(?:{ASSISTANT}|{'|'.join(OTHERS)}|functions\.\S+)?\s*(?:{'|'.join(CHANNELS)})?"
    rf"(?:(?<!\w)\s*to=\s*\S+)?(?:\s+\w+)?\s*"
)


class Header(NamedTuple):
    """What a header says.

    `role` is "assistant" unless the message is somebody else's. `recipients` were given with `to=`, `named` are
    `functions.NAME` in places where no recipient belongs. `rest` is text that is none of this: the beginning of the
    message when its `<|message|>` is missing.
    """

    role: str = ASSISTANT
    channel: str = ""
    recipients: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    rest: str = ""


def may_imply_header(text: str) -> bool:
    """Tell whether text that no `<|start|>` precedes can be the beginning of a header."""
    return bool(_IMPLIED.fullmatch(text))


def read_header(text: str, *, started: bool = True, ended: bool = True) -> Header:
    """Read the text from behind `<|start|>` to `<|message|>`, markers included. Never raises.

    Not `started`: no `<|start|>` came, so what is before the first marker may be junk. Not `ended`: no `<|message|>`
    came, so a recipient is one only in its place, for the rest is a message and may speak of recipients.
    """
    role_part, *parts = _PARTS.split(text)
    if not started and not may_imply_header(role_part):
        role_part = ""
    role, rest = _read_role(role_part)
    channel, rest = _read_channel(rest, known=True)
    recipients = _recipients(role_part, ended)
    named: list[str] = []
    for marker, part in zip(parts[::2], parts[1::2], strict=True):
        recipients += _recipients(part, ended)
        if marker == CONSTRAIN:
            kind = _TYPE.match(part)
            named += _NAMED.findall(kind[0] if kind else "")
            rest = part[kind.end() :] if kind else part
        else:
            named += _NAMED.findall(part) if ended else []
            own, rest = _read_channel(part)
            channel = own or channel
    return Header(role, channel, tuple(recipients), tuple(named), rest)


def _read_role(part: str) -> tuple[str, str]:
    """Return the role and what follows it; a channel or a recipient in its place is the assistant's."""
    plain = part.lstrip()
    word = plain.split(maxsplit=1)[0] if plain else ""
    if not word or word.startswith("to=") or _CHANNEL.match(plain):
        return ASSISTANT, plain
    role = ASSISTANT if word.startswith(ASSISTANT) else word
    return role, plain.removeprefix(role)


def _read_channel(part: str, known: bool = False) -> tuple[str, str]:
    """Return the channel of a part, where it has one, and what is left; an unknown channel's name stays in there."""
    found = _CHANNEL.match(part)
    rest = part[found.end() :] if found else part
    skipped = _RECIPIENTS.match(rest)
    rest = (rest[skipped.end() :] if skipped else rest).lstrip()
    if found or known:
        return (found[1].lower() if found else ""), rest
    word = rest.split(maxsplit=1)[0] if rest else ""
    return (word if any(map(str.isalpha, word)) else ""), rest


def _recipients(part: str, ended: bool) -> list[str]:
    if ended:
        return _RECIPIENT.findall(part)
    found = _CHANNEL.match(part) or re.match(rf"\s*{ASSISTANT}", part)
    place = _RECIPIENTS.match(part, found.end() if found else 0)
    return _RECIPIENT.findall(place[0]) if place else []
