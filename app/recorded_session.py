"""Which capture of a session answers a request: by the shape of the conversation first, then by what was said.

Ids, dates, numbers and folders may differ from those that were recorded. Of captures that cannot be told apart (a
client that asked twice) the first answers first. Nothing is random.
"""

import operator
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.errors import InvalidRequest
from app.log_writer import one_line
from app.recording import Recording
from app.utils.tokens import content_texts

ENOUGH = 0.5  # of 1; the parts below add up to it
LAST, TASK, CALLS, SYSTEM = 0.45, 0.25, 0.15, 0.15
LONGEST = 50_000  # characters of a text that are compared
PLACES = 10_000  # of clients in groups of captures, that are remembered
SHOWN = 60

# What changes from run to run. Of a path the name of a file stays.
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.~@+-]+)+[\\/]?")
_NUMBER = re.compile(r"\b(?=[\w-]*\d)[0-9a-f]{6,}(?:-[0-9a-f]{4,})*\b|\d+", re.IGNORECASE)
_DAY = re.compile(
    r"\b(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may"
    r"|june?|july?|aug(?:ust)?|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


class NoCapture(InvalidRequest):
    """No capture fits a request; the message names the nearest."""

    status, code = 404, "no_capture"


@dataclass(frozen=True)
class Gist:
    """What a conversation is told by: shape, and words."""

    turns: int  # answers so far
    tools: bool
    role: str  # of the last message
    calls: tuple[str, ...]
    last: str  # what came since the last answer
    task: str
    system: str

    @cached_property
    def words(self) -> "tuple[Counter[str], Counter[str], Counter[str]]":
        return words_of(self.last), words_of(self.task), words_of(self.system)

    @property
    def shape(self) -> tuple[int, bool, str]:
        return self.turns, self.tools, self.role

    def describe(self) -> str:
        """Put it into a few words."""
        tools = "with tools" if self.tools else "without tools"
        return f"turn {self.turns + 1}, {tools}, last message ({self.role}): {one_line(self.last, SHOWN)!r}"


def gist_of(body: Mapping[str, Any]) -> Gist:
    """Return the gist of a chat request."""
    messages = [message for message in body.get("messages") or () if isinstance(message, dict)]
    roles = [str(message.get("role") or "") for message in messages]
    answered = [at for at, role in enumerate(roles) if role == "assistant"]
    since = messages[answered[-1] + 1 :] if answered else [m for m in messages if m.get("role") not in ("system", "developer")]
    users = [message for message in messages if message.get("role") == "user"]
    return Gist(
        turns=sum(1 for at in answered if at == 0 or roles[at - 1] != "assistant"),
        tools=bool(body.get("tools") or body.get("functions")),
        role=roles[-1] if roles else "",
        calls=tuple(_called(messages)),
        last="\n".join(map(_text, since)),
        task=_text(users[0]) if users else "",
        system="\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer")),
    )


def _called(messages: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for message in messages:
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            yield str(function.get("name") if isinstance(function, dict) else "")


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join(content_texts(message.get("content")))


def likeness(one: "Counter[str]", other: "Counter[str]") -> float:
    """Return how many words two texts have in common, 0 to 1."""
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 1.0


def settled(text: str) -> str:
    """Return a text without what changes from run to run: folders, numbers, dates and ids."""
    short = _PATH.sub(_file_name, text[:LONGEST])
    return _DAY.sub("0", _NUMBER.sub("0", short)).lower()


def _file_name(path: re.Match[str]) -> str:
    name = re.split(r"[\\/]", path[0])[-1]
    return f" {name}" if "." in name else " /"


def words_of(text: str) -> "Counter[str]":
    """Count the words of a text; what changes from run to run counts as the same."""
    return Counter(_WORD.findall(settled(text)))


def score(asked: Gist, recorded: Gist) -> float:
    """Return how well a recorded conversation fits, 0 to 1."""
    said = sum(map(operator.mul, (LAST, TASK, SYSTEM), map(likeness, asked.words, recorded.words)))
    return said + (CALLS if asked.calls == recorded.calls else 0)


@dataclass(frozen=True)
class Entry:
    """A recording, and what it is found by; `group` is the same for those that cannot be told apart."""

    recording: Recording
    gist: Gist
    group: int


class RecordedSession:
    """The captures of one session in the order of their time. Safe for many threads."""

    def __init__(self, recordings: Iterable[Recording], name: str = "session") -> None:
        self.name = name
        self.entries = _entries(sorted(recordings, key=lambda recording: (recording.started, recording.name)))
        self._places: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, body: Mapping[str, Any], client: str = "") -> Recording:
        """Return the recording that answers a chat request of a client's session. Raises NoCapture."""
        asked = gist_of(body)
        ranked = self._rank(asked, [entry for entry in self.entries if entry.gist.shape == asked.shape])
        if not ranked or ranked[0][0] < ENOUGH:
            raise NoCapture(self._explain(asked, ranked))
        group = ranked[0][1].group
        return self._next(client, [entry.recording for entry in self.entries if entry.group == group], group)

    def _rank(self, asked: Gist, entries: Sequence[Entry]) -> list[tuple[float, Entry]]:
        return sorted(((score(asked, entry.gist), entry) for entry in entries), key=lambda found: -found[0])

    def _next(self, client: str, recordings: list[Recording], group: int) -> Recording:
        """Return the one whose turn it is; after the last comes the first again."""
        with self._lock:
            place = self._places.pop((client, group), 0)
            self._places[client, group] = place + 1
            while len(self._places) > PLACES:
                self._places.popitem(last=False)
        return recordings[place % len(recordings)]

    def _explain(self, asked: Gist, ranked: list[tuple[float, Entry]]) -> str:
        if not self.entries:
            return f"There is no capture in `{self.name}` that can be replayed."
        best = ranked or sorted(
            self._rank(asked, self.entries), key=lambda found: abs(found[1].gist.turns - asked.turns)
            + 10 * (found[1].gist.tools != asked.tools) + (found[1].gist.role != asked.role)
        )  # fmt: skip
        nearest = best[0][1]
        why = f"only {best[0][0]:.0%} alike" if ranked else "it has another shape"
        return (
            f"No capture of `{self.name}` fits this request ({asked.describe()}). The nearest is "
            f"{nearest.recording.id} ({nearest.gist.describe()}): {why}."
        )


def _entries(recordings: Iterable[Recording]) -> list[Entry]:
    groups: dict[object, int] = {}
    entries = []
    for recording in recordings:
        if recording.chat is None or not recording.playable:
            continue
        gist = gist_of(recording.chat)
        key = (gist.shape, gist.calls, *map(settled, (gist.last, gist.task, gist.system)))
        entries.append(Entry(recording, gist, groups.setdefault(key, len(groups))))
    return entries
