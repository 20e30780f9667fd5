"""One answer, chunk by chunk: what passes at once, what is collected, what is said at the end; knows no transport."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.errors import UpstreamError, UpstreamTruncated
from app.quirks import finish, gemini, groq_repair, openai_stream, reasoning, usage
from app.quirks.errors import TurnUnusable, map_upstream_error
from app.quirks.families import GEMINI
from app.quirks.ledger import Ledger
from app.quirks.openai_stream import SURROGATE
from app.quirks.report import Report
from app.quirks.rule import OFF
from app.quirks.sound_calls import Finisher, OnSignature
from app.quirks.tool_calls import Assembler

TRUNCATED = "upstream connection lost before the answer was complete"


class Conduct(NamedTuple):
    """How an answer is treated. `on_truncated` is error, length or stop; `tool_ids` is keep or mint."""

    hold: bool = True
    on_truncated: str = "error"
    last_attempt: bool = False
    tool_ids: str = "keep"
    options: Mapping[str, Any] = {}
    think_tags: bool = False
    thought_tags: bool = False
    family: str = ""
    window: object = None
    streamed: bool = True
    whole_calls: bool = False  # each call comes in one piece and may leave at once
    include_usage: bool | None = None  # None: as the request that was sent says
    on_signature: OnSignature | None = None
    on_usage: Callable[[dict], object] | None = None  # told what the upstream counted where the client did not ask


class Memory:
    """What is known of one choice."""

    __slots__ = (
        "assembler", "characters", "index", "legacy", "native", "opened",
        "place", "raw", "released", "repeats", "splitter", "spoke",
    )  # fmt: skip

    def __init__(self, index: int, conduct: Conduct, ledger: Ledger) -> None:
        self.index = index
        self.place = f"choices[{index}]"
        self.assembler = Assembler(ledger, self.place, conduct.streamed)
        wanted = ((reasoning.THINK, conduct.think_tags), (reasoning.THOUGHT, conduct.thought_tags))
        always = tuple(tag for tag, on in wanted if on)
        flagged = reasoning.THOUGHT if conduct.family == GEMINI else None
        self.splitter = reasoning.TagSplitter(always, flagged, ledger, self.place)
        self.raw: str | None = None
        self.native: str | None = None
        self.repeats = False  # something came after a finish reason, which is no end then
        self.legacy = False
        self.opened = False
        self.spoke = False
        self.characters = 0
        self.released = 0


class StreamRepair:
    """Feed it the chunks of one answer, then end it; both return chunks that any agent takes."""

    def __init__(
        self, body: Mapping[str, Any], renames: Mapping[str, str], ledger: Ledger, conduct: Conduct
    ) -> None:
        self._body = body
        self._ledger = ledger
        self._conduct = conduct
        self._memories: dict[int, Memory] = {}
        self._plain: dict[object, Memory] = {}
        self._last: dict[str, Any] = {}
        self._headed: dict[str, Any] | None = None
        self._head: dict[str, Any] = {}
        self._usage: dict | None = None
        self._finisher = Finisher(body, renames, conduct.tool_ids, ledger, conduct.on_signature)
        self._as_sent = ledger.mode("stream.tool_calls") == OFF
        self.sent = False

    def feed(self, chunk: Any) -> list[dict]:
        """Return what leaves at once of one chunk, which is taken over and may be changed.

        Raises UpstreamError when it is an error in place of a chunk: an UpstreamError itself, or what stands for one.
        """
        try:
            (choice,) = chunk["choices"]
            delta = choice["delta"]
            text = delta["content"]
            memory = self._plain[choice["index"]]
        except (KeyError, TypeError, ValueError):
            return self._feed_odd(chunk)
        if type(text) is not str or choice.get("finish_reason") is not None or choice.get("logprobs") is not None:
            return self._feed_odd(chunk)
        if len(delta) != 1 and not (len(delta) == 2 and delta.get("role") == "assistant"):
            return self._feed_odd(chunk)
        if len(choice) > 4 or not (text.isascii() or SURROGATE.search(text) is None):
            return self._feed_odd(chunk)
        if "error" in chunk or not openai_stream.has_sound_top(chunk):
            return self._feed_odd(chunk)
        if "usage" in chunk:
            self._take_usage(chunk)
            del chunk["usage"]
        if not text:
            return []
        if len(delta) == 2:
            openai_stream.role_once("assistant", True, self._ledger, memory.place)
        memory.characters += len(text)
        self._last = chunk
        chunk["choices"] = [{"index": memory.index, "delta": {"content": text}, "finish_reason": None}]
        return [chunk]

    def end(self, done: bool, lost: bool = False) -> list[dict]:
        """Return the calls, finish reasons and usage of an answer whose upstream said `done`, or was cut off.

        `lost` says that the connection broke; it matters only where the answer had not ended before.

        Raises TurnUnusable when nothing was sent and another attempt may help; UpstreamTruncated for a cut answer.
        """
        out: list[dict] = []
        memories = sorted(self._memories.values(), key=lambda memory: memory.index)
        cut = self._is_cut(memories, done, lost)
        for memory in memories or [self._memory(0)]:
            out += self._end_choice(memory, cut)
        return out + self._end_usage()

    def _memory(self, index: int) -> Memory:
        memory = self._memories.get(index)
        if memory is None:
            taken = {other.index for other in self._memories.values()}
            settled = openai_stream.choice_number(index, taken, self._body.get("n"), self._ledger)
            memory = self._memories[index] = Memory(settled, self._conduct, self._ledger)
        return memory

    def _take_usage(self, chunk: dict) -> None:
        found = usage.find_usage(chunk)
        if found:
            self._usage = found
            if chunk.get("choices") and self._conduct.streamed:
                usage.final_chunk(self._ledger)

    def _feed_odd(self, chunk: Any) -> list[dict]:
        """Repair a chunk that is not plain text in good shape."""
        if isinstance(chunk, UpstreamError):
            return self._refused(chunk)
        error = openai_stream.error_in(chunk)
        if error is not None and not self._is_late(chunk):
            return self._refused(map_upstream_error(None, {}, error))
        if not isinstance(chunk, dict):
            return []
        self._take_usage(chunk)
        blocked = gemini.blocked_prompt(chunk)
        if blocked:
            self._memory(0).raw = blocked
        self._last = chunk
        out: list[dict] = []
        for position, choice in enumerate(openai_stream.list_choices(chunk, self._ledger)):
            number = openai_stream.choice_index(choice, position)
            memory = self._memory(number)
            out += self._feed_choice(memory, choice, chunk)
            if memory.opened and memory.splitter.idle and memory.spoke:
                self._plain[number] = memory
            else:
                self._plain.pop(number, None)
        return out

    def _is_late(self, chunk: Any) -> bool:
        """Tell whether an error stands beside choices of an answer that already has its finish reason (OpenRouter)."""
        ended = [memory.raw for memory in self._memories.values()]
        return isinstance(chunk, dict) and "choices" in chunk and bool(ended) and all(map(finish.is_end, ended))

    def _refused(self, error: UpstreamError) -> list[dict]:
        """Return what the model said where the upstream refuses its call.

        Raises `error`, or TurnUnusable while asking again may help.
        """
        refusal = groq_repair.read_refusal(error.upstream_body)
        if refusal is None:
            raise error
        memory = self._memory(0)
        outcome = groq_repair.settle(
            refusal,
            self._body,
            self._ledger,
            sent=self.sent,
            spoke=memory.spoke,
            last=self._conduct.last_attempt,
            allowing=groq_repair.may_allow(self._body, self._conduct.options, self._ledger.mode(groq_repair.ALLOWED)),
        )
        if outcome.choice is not None:
            memory.assembler = Assembler(self._ledger, memory.place, self._conduct.streamed)
            return self._feed_choice(memory, outcome.choice, self._last)
        if not outcome.again:
            raise error
        refused_call(self._ledger, refusal.message)
        raise TurnUnusable(refusal.message or "the model's tool call", kind="malformed")

    def _feed_choice(self, memory: Memory, choice: dict, chunk: dict) -> list[dict]:
        raw, native = openai_stream.raw_finish(choice)
        memory.repeats = memory.repeats or bool(memory.raw and choice.get("delta"))
        memory.raw = raw or memory.raw
        memory.native = native or memory.native
        said = memory.spoke or bool(memory.assembler.calls)
        delta = openai_stream.find_delta(choice, said, self._ledger, f"{memory.place}.delta")
        out = self._chunks(memory, self._repair_delta(memory, delta), chunk, openai_stream.logprobs_of(choice))
        if self._conduct.whole_calls or not self._conduct.hold:
            out += self._release(memory, final=False)
        return out

    def _repair_delta(self, memory: Memory, delta: dict) -> dict[str, Any]:
        """Return the delta that leaves now; calls go to the assembler."""
        place = f"{memory.place}.delta"
        openai_stream.role_once(delta.get("role"), memory.opened, self._ledger, memory.place)
        repaired = openai_stream.passed_fields(delta)
        extra = gemini.message_extra(delta)
        if extra:
            repaired["extra_content"] = extra
        self._take_calls(memory, delta, repaired)
        thoughts = reasoning.reasoning_name(delta, self._ledger, place)
        inner, text = openai_stream.content_text(delta.get("content"), self._ledger, place)
        if text and not (memory.splitter.idle and not extra):
            split, text = memory.splitter.feed(text, gemini.is_thought(delta))
            inner += split
        self._say(memory, repaired, thoughts + inner, text)
        return repaired

    def _say(self, memory: Memory, delta: dict[str, Any], thoughts: str, text: str) -> None:
        """Put thoughts and text into a delta."""
        if thoughts:
            delta["reasoning_content"] = openai_stream.sound_text(thoughts, self._ledger, f"{memory.place}.delta")
        if text:
            delta["content"] = openai_stream.sound_text(text, self._ledger, f"{memory.place}.delta")
        memory.characters += len(thoughts) + len(text)
        said = text if text and not text.isspace() else None
        memory.spoke = memory.spoke or bool(said) or any(delta.get(name) for name in openai_stream.SPOKEN[1:])

    def _take_calls(self, memory: Memory, delta: dict, repaired: dict[str, Any]) -> None:
        calls = delta.get("tool_calls")
        legacy = repaired.get("function_call")
        if isinstance(legacy, dict):
            if self._body.get("functions"):
                memory.legacy = memory.spoke = True
            else:
                del repaired["function_call"]
                calls = calls or [{"index": 0, "function": legacy}]
        if not calls or not isinstance(calls, list):
            return
        if self._as_sent:
            repaired["tool_calls"] = calls
        memory.assembler.absorb(calls)

    def _chunks(self, memory: Memory, delta: dict[str, Any], chunk: dict, logprobs: dict | None) -> list[dict]:
        """Wrap a delta into a chunk; an empty one leaves no chunk."""
        if logprobs and not delta:
            delta = {"content": ""}
        if not delta:
            return []
        choice: dict[str, Any] = {"index": memory.index, "delta": delta, "finish_reason": None}
        if not memory.opened:
            memory.opened = True
            choice["delta"] = {"role": "assistant", "content": None, **delta}
        if logprobs:
            choice["logprobs"] = logprobs
        return [{**openai_stream.top_of(chunk), "choices": [choice]}]

    def _own(self, memory: Memory, delta: dict[str, Any]) -> list[dict]:
        if self._headed is not self._last:
            self._headed, self._head = self._last, openai_stream.head_of(self._last)
        return self._chunks(memory, delta, self._head, None)

    def _release(self, memory: Memory, final: bool) -> list[dict]:
        """Let calls leave that are whole, before the end of the turn: the last only where none can still grow."""
        out: list[dict] = []
        waiting = memory.assembler.calls[memory.released :]
        kept = 0 if self._conduct.whole_calls else 1
        while len(waiting) > kept and not waiting[0].waiting and not self._as_sent:
            batch = self._finisher.finish(waiting[:1], memory.released, memory.place, self._conduct.streamed)
            if batch.broken:
                break
            memory.released += 1
            waiting = waiting[1:]
            out += [made for call in batch.calls for made in self._own(memory, {"tool_calls": [call]})]
        return out

    def _is_cut(self, memories: list[Memory], done: bool, lost: bool) -> bool:
        """Tell whether the answer ended before it was complete; raises when that is all there is to say."""
        ended = [bool(memory.raw) and not (lost and memory.repeats) for memory in memories]
        cut = not done and not (ended and all(ended)) and not self._is_nothing(memories, lost)
        cut = cut or any(finish.kind_of(memory.raw) == finish.CUT for memory in memories)
        if not cut:
            return False
        truncated(self._ledger, self._conduct.on_truncated)
        if not self.sent and not self._conduct.last_attempt:
            raise TurnUnusable(TRUNCATED, kind="truncated")
        if self._conduct.on_truncated not in ("length", "stop"):
            raise UpstreamTruncated(TRUNCATED)
        return True

    def _is_nothing(self, memories: list[Memory], lost: bool) -> bool:
        """Tell whether a 200 ended as HTTP wants it, but empty, for the second time: then that is said in words.

        As an error of 5xx OpenCode would ask five times more, over a minute.
        """
        return not memories and not lost and self._conduct.last_attempt and self._conduct.streamed

    def _end_choice(self, memory: Memory, cut: bool) -> list[dict]:
        thoughts, text = memory.splitter.flush()
        tail: dict[str, Any] = {}
        self._say(memory, tail, thoughts, text)
        out = self._own(memory, tail)
        if cut:
            return out + self._finish(memory, self._conduct.on_truncated)
        waiting = memory.assembler.calls[memory.released :]
        batch = self._finisher.finish(waiting, memory.released, memory.place, self._conduct.streamed)
        called = bool(batch.calls or memory.released)
        turn = finish.Turn(memory.raw, memory.native, memory.spoke, called, batch.broken, memory.legacy, bool(memory.released))
        verdict = finish.judge(turn, self._ledger, memory.place)
        if verdict.unusable and not self.sent and not self._conduct.last_attempt:
            raise TurnUnusable(verdict.unusable, kind="malformed" if not verdict.release else "empty")
        if verdict.words:
            out += self._own(memory, {"content": f"\n\n{verdict.words}" if memory.spoke else verdict.words})
        for call in batch.calls if verdict.release and not self._as_sent else ():
            if self._usage is None:  # else nothing is estimated
                memory.characters += sum(len(str(value)) for value in call[call["type"]].values())
            out += self._own(memory, {"tool_calls": [call]})
        return out + self._finish(memory, verdict.finish)

    def _finish(self, memory: Memory, reason: str) -> list[dict]:
        head = openai_stream.head_of(self._last)
        delta = {} if memory.opened else {"role": "assistant", "content": None}
        memory.opened = True
        return [{**head, "choices": [{"index": memory.index, "delta": delta, "finish_reason": reason}]}]

    def _end_usage(self) -> list[dict]:
        asked = self._conduct.include_usage
        if asked is None:
            options = self._body.get("stream_options")
            asked = isinstance(options, dict) and bool(options.get("include_usage"))
        if self._conduct.streamed and not asked:
            if self._usage is not None and self._conduct.on_usage is not None:
                self._conduct.on_usage(usage.repair_usage(self._usage, Ledger(Report())))  # no repair of what leaves
            return []
        if self._usage is None:
            characters = sum(memory.characters for memory in self._memories.values())
            counts = usage.estimated(dict(self._body), characters, self._conduct.window, self._ledger)
        else:
            counts = usage.repair_usage(self._usage, self._ledger)
        return [{**openai_stream.head_of(self._last), "choices": [], "usage": counts}]


def refused_call(ledger: Ledger, message: str) -> None:
    """Groq answers `tool_use_failed` when the model's call cannot be read: the same turn may work again."""
    ledger.allows("turn.refused_call", "turn", message, "asked again")


def truncated(ledger: Ledger, outcome: str) -> None:
    """The stream ends without a finish reason and without [DONE]: translators report that as a complete answer."""
    ledger.allows("turn.truncated", "stream", None, outcome)
