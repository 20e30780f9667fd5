"""Assembled calls -> calls that any agent takes: ids, names, arguments, signatures; knows no deltas."""

import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.quirks import gemini
from app.quirks.ledger import Ledger, answer_rule
from app.quirks.signatures import decode_id
from app.quirks.tool_arguments import read_arguments
from app.quirks.tool_calls import Call, arguments_text, one_call_per_chunk

MAX_ID = 64
MINTED = re.compile(r"call_[0-9A-Za-z]{24}")
PREFIXES = ("default_api:", "default_api.", "functions.", "functions:")

OnSignature = Callable[[str, str], None]


class Batch(NamedTuple):
    """Calls that may leave, and why the first unreadable one cannot be read."""

    calls: list[dict]
    broken: str | None


class Finisher:
    """Gives the calls of one answer their final form; ids are unique in the answer and new to the conversation."""

    def __init__(
        self, body: Mapping, renames: Mapping[str, str], ids: str, ledger: Ledger, on_signature: OnSignature | None
    ) -> None:
        self._renames = renames
        self._mint_all = ids == "mint"
        self._ledger = ledger
        self._on_signature = on_signature
        self._body = body
        self._taken: set[str] | None = None
        self._offered: frozenset[str] | None = None

    def finish(self, calls: list[Call], first: int, where: str, streamed: bool) -> Batch:
        """Return the sound ones of `calls`, numbered from `first`."""
        done: list[dict] = []
        broken: str | None = None
        for call in calls:
            place = f"{where}.tool_calls[{first + len(done)}]"
            if call.empty:
                continue
            read = (call.arguments,) if call.custom else self._arguments(call, place)
            if isinstance(read, str) or not call.name:
                broken = broken or (read if isinstance(read, str) else "a call without a name")
                continue
            for position, text in enumerate(read):
                done.append(self._build(call, text, first + len(done), place, position))
            if streamed and call.index != first + len(done) - 1:
                tool_index(call.index, first + len(done) - 1, self._ledger, place)
        return Batch(done, broken)

    def _arguments(self, call: Call, place: str) -> tuple[str, ...] | str:
        """Return the argument strings of a call, or the text that says why there are none."""
        before = call.arguments
        found = read_arguments(before)
        if found.texts == (before,):
            return found.texts
        if not tool_arguments(before, found.texts, self._ledger, place):
            return (before,)
        return found.broken or found.texts

    def _build(self, call: Call, arguments: str, index: int, place: str, position: int) -> dict:
        plain, carried = decode_id(call.id)
        kind, field = ("custom", "input") if call.custom else ("function", "arguments")
        name = tool_name(call.name, self._names(), self._renames, self._ledger, place)
        extra = call.extra if position == 0 else None
        signature = gemini.signature_in(extra) or (carried if position == 0 else None)
        call_id = self._settle_id(plain if position == 0 else "", place, bool(signature))
        if signature and not gemini.signature_in(extra):
            extra = gemini.with_signature(extra, signature)
        built: dict = {"index": index, "id": call_id, "type": kind, kind: {"name": name, field: arguments}}
        if extra:
            built["extra_content"] = extra
        if signature and self._on_signature is not None:
            self._on_signature(call_id, signature)
        return built

    def _settle_id(self, call_id: str, place: str, signed: bool) -> str:
        """A signature is kept by the call's id, for days: ids of six digits, as Gemini makes them, would collide."""
        taken = self._known_ids()
        settled = tool_id(call_id, taken, self._mint_all or signed, self._ledger, place)
        taken.add(settled)
        return settled

    def _known_ids(self) -> set[str]:
        if self._taken is None:
            messages = self._body.get("messages")
            self._taken = {
                call["id"]
                for message in (messages if isinstance(messages, list) else ())
                if isinstance(message, dict) and isinstance(message.get("tool_calls"), list)
                for call in message["tool_calls"]
                if isinstance(call, dict) and isinstance(call.get("id"), str)
            }
        return self._taken

    def _names(self) -> frozenset[str]:
        if self._offered is None:
            tools = self._body.get("tools")
            functions = [tool.get("function") for tool in tools or () if isinstance(tool, dict)]
            names = [function.get("name") for function in functions if isinstance(function, dict)]
            self._offered = frozenset(name for name in names if isinstance(name, str))
        return self._offered


def tool_index(before: int | None, after: int, ledger: Ledger, where: str) -> None:
    """Calls come without index, all with 0 (LiteLLM) or with another's: OpenCode and pi lose the second call.

    Indexes are always counted anew, so this rule only notes where the upstream's differed.
    """
    ledger.allows("stream.tool_index", f"{where}.index", before, after)


def tool_id(call_id: str, taken: set[str], mint_all: bool, ledger: Ledger, where: str) -> str:
    """A call's id is empty, missing, longer than 64 characters, or another call has it: agents drop or mix calls up."""
    sound = 0 < len(call_id) <= MAX_ID and call_id not in taken
    if sound and not (mint_all and not MINTED.fullmatch(call_id)):
        return call_id
    minted = mint_id()
    return minted if ledger.allows("tool.id", f"{where}.id", call_id, minted) else call_id


def mint_id() -> str:
    """Return a new id, `call_` and 24 hexadecimal digits: 96 bits, unique without asking anybody."""
    return "call_" + os.urandom(12).hex()


def tool_name(name: str, offered: frozenset[str], renames: Mapping[str, str], ledger: Ledger, where: str) -> str:
    """A tool is called by a name that was not offered: `default_api:glob` (Gemini), `functions.glob`, another case.

    Names that were renamed on their way up get their own name back. A name that no offered tool explains stays.
    """
    found = renames.get(name)
    if found is None and name not in offered:
        found = _explain(name, offered, renames)
    if found is None or found == name:
        return name
    return found if ledger.allows("tool.name", f"{where}.function.name", name, found) else name


def _explain(name: str, offered: frozenset[str], renames: Mapping[str, str]) -> str | None:
    plain = name.strip().partition("<|")[0]
    for prefix in PREFIXES:
        plain = plain.removeprefix(prefix)
    if plain in renames:
        return renames[plain]
    if plain in offered:
        return plain
    alike = [known for known in offered if known.lower() == plain.lower()]
    return alike[0] if len(alike) == 1 else None


def tool_arguments(before: str, after: tuple[str, ...], ledger: Ledger, where: str) -> bool:
    """Arguments are empty, null, encoded twice, fenced, glued together or have a tail: they must parse at the agent."""
    return ledger.allows("tool.arguments", f"{where}.function.arguments", before, after)


RULES = (
    answer_rule("stream.tool_index", tool_index),
    answer_rule("stream.tool_calls", one_call_per_chunk),
    answer_rule("tool.id", tool_id),
    answer_rule("tool.name", tool_name),
    answer_rule("tool.arguments", tool_arguments),
    answer_rule("tool.arguments_object", arguments_text),
)
