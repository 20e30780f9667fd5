"""Deltas of tool calls, however an upstream cuts, numbers and names them -> whole calls; knows no chunks and no finish.

Which call a delta belongs to is decided in `Assembler._find`. What was seen: no index, index 0 on all, another call's
index, ids that are empty, missing, repeated or late, names that repeat or come late, several calls in one delta, and
deltas that carry a thought signature alone.
"""

from collections.abc import Iterable
from typing import NamedTuple

from app.quirks import gemini
from app.quirks.ledger import Ledger
from app.quirks.tool_arguments import ObjectEnd, encode


class Part(NamedTuple):
    """What one delta says about a call; None and "" stand for what it does not say."""

    number: int | None
    id: str
    name: str
    arguments: str
    extra: dict | None
    custom: bool

    @property
    def bare(self) -> bool:
        """Whether the delta carries neither name nor arguments, only perhaps an id or a signature."""
        return not self.name and not self.arguments


class Call:
    """One call as far as it is known."""

    __slots__ = ("_end", "_scanned", "custom", "echo", "extra", "id", "index", "name", "pieces")

    def __init__(self) -> None:
        self.index: int | None = None
        self.id = self.name = ""
        self.pieces: list[str] = []
        self.extra: dict | None = None
        self.custom = False
        self.echo: str | None = None  # the id with which it began, where its name and id repeat a whole call's
        self._end = ObjectEnd()
        self._scanned = 0

    def take(self, part: Part) -> None:
        """Add what a delta says."""
        self.index = part.number if self.index is None else self.index
        self.id = self.id or part.id
        self.name = self.name or part.name
        self.custom = self.custom or part.custom
        if part.arguments:
            self.pieces.append(part.arguments)
        if part.extra:
            self.extra = merge_extra(self.extra, part.extra)

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are a whole object."""
        for piece in self.pieces[self._scanned :]:
            self._end.feed(piece)
        self._scanned = len(self.pieces)
        return self._end.complete

    @property
    def arguments(self) -> str:
        """The arguments so far, as text."""
        return "".join(self.pieces)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to call: no name and no arguments, or only the name of the call before it."""
        return not self.pieces and (self.echo == self.id or not self.name)

    @property
    def waiting(self) -> bool:
        """Whether the arguments have begun and are not whole."""
        return bool(self.pieces) and not self.complete


class Assembler:
    """Collects the calls of one choice of one answer."""

    __slots__ = ("_by_id", "_by_index", "_ledger", "_streamed", "_where", "calls")

    def __init__(self, ledger: Ledger, where: str, streamed: bool = True) -> None:
        self.calls: list[Call] = []
        self._by_id: dict[str, Call] = {}
        self._by_index: dict[int, Call] = {}
        self._ledger = ledger
        self._where = where
        self._streamed = streamed

    def absorb(self, deltas: Iterable[object]) -> None:
        """Take in the `tool_calls` of one delta, or of a whole message."""
        named: list[Call] = []
        for delta in deltas:
            if isinstance(delta, dict):
                part = self._read(delta)
                call, part = self._find(part, named)
                if call is None:
                    call = self._begin(part)
                call.take(part)
                self._remember(call, part)
                if part.name:
                    named.append(call)
        if len(named) > 1 and self._streamed:
            one_call_per_chunk(self._ledger, self._where)

    def _begin(self, part: Part) -> Call:
        call = Call()
        if not part.arguments and (not part.id or part.id in self._by_id):
            if any(known.name == part.name and known.complete for known in self.calls):
                call.echo = part.id
        self.calls.append(call)
        if part.number is not None:
            self._by_index[part.number] = call
        return call

    def _remember(self, call: Call, part: Part) -> None:
        if part.id:
            self._by_id[part.id] = call
        if part.number is not None:
            self._by_index.setdefault(part.number, call)

    def _read(self, delta: dict) -> Part:
        where = f"{self._where}.tool_calls[{len(self.calls)}]"
        called = delta.get("function")
        custom = not called and isinstance(delta.get("custom"), dict)
        called = delta["custom"] if custom else called if isinstance(called, dict) else delta
        arguments = called.get("input" if custom else "arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = arguments_text(arguments, self._ledger, where)
        index, call_id, name = delta.get("index"), delta.get("id"), called.get("name")
        return Part(
            index if isinstance(index, int) and not isinstance(index, bool) else None,
            call_id if isinstance(call_id, str) else "" if call_id is None else str(call_id),
            name if isinstance(name, str) else "",
            arguments or "",
            gemini.signature_place(delta, self._ledger, where),
            custom,
        )

    def _find(self, part: Part, named: list[Call]) -> tuple[Call | None, Part]:
        """Return the call that a delta continues, None for a new call; and the delta, without what it repeats."""
        if not self.calls:
            return None, part
        known = self._by_id.get(part.id) if part.id else None
        if known is not None:
            return self._same_id(known, part, named)
        near = self._by_index.get(part.number) if part.number is not None else self.calls[-1]
        if part.bare and not part.id and part.extra:
            return near or self.calls[-1], part
        if near is None:
            return self._unknown_index(part), part
        if part.id and near.id:
            return (near if not part.name and near.waiting else None), part
        return (None if self._begins_anew(near, part, named) else near), part

    def _same_id(self, known: Call, part: Part, named: list[Call]) -> tuple[Call | None, Part]:
        """Ids repeat in each delta of a call, or two calls share one."""
        elsewhere = part.number is not None and known.index is not None and part.number != known.index
        if known in named and part.name or (part.name and known.name and part.name != known.name):
            return None, part
        if not known.complete or not (part.name or part.arguments.strip()):
            return known, part
        if elsewhere:
            return None, part
        if not part.name or not known.name:
            return known, part
        return (known, part._replace(arguments="")) if part.arguments == known.arguments else (None, part)

    def _unknown_index(self, part: Part) -> Call | None:
        """A new index begins a new call, unless it only carries more of arguments that are not whole yet."""
        last = self.calls[-1]
        return last if last.waiting and part.arguments and not part.id and not part.name else None

    @staticmethod
    def _begins_anew(near: Call, part: Part, named: list[Call]) -> bool:
        """Decide for a delta without an id that tells, against the call that it may continue."""
        if near in named and (part.name or part.id):
            return True
        if part.name and near.name:
            return part.name != near.name or near.complete
        return bool(part.id) and near.complete and bool(near.name)


def one_call_per_chunk(ledger: Ledger, where: str) -> None:
    """Several calls come in one delta (Gemini): LlamaIndex takes only the first; each leaves in a chunk of its own."""
    ledger.allows_once("stream.tool_calls", f"{where}.tool_calls", "several in one delta", "one per chunk")


def arguments_text(arguments: object, ledger: Ledger, where: str) -> str:
    """Arguments come as an object (Ollama and others): agents' schemas ask for a string of JSON."""
    text = encode(arguments)
    place = f"{where}.function.arguments"
    return text if ledger.allows("tool.arguments_object", place, arguments, text) else str(arguments)


def merge_extra(first: dict | None, more: dict) -> dict:
    """Merge two `extra_content` objects, one level deep: a signature must not push a flag aside."""
    merged = dict(first or {})
    for name, value in more.items():
        old = merged.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
