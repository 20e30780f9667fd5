"""Tools for a model that has none: the request's tools go into the prompt, calls are read out of the answer's text.

It stands around an engine and is one itself. The prompt and the reader are `emulation`'s; here is what takes an
upstream: the answer while it streams, and one more turn for calls whose arguments do not fit their tool.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.call import UpstreamCall
from app.emulation.answer_reader import AnswerReader
from app.emulation.budget import Limits, fit
from app.emulation.tool_prompt import call_text, example_call, others_in, render_messages, repair_message, tools_section
from app.errors import ClientGone, GatewayError
from app.quirks.families import TEXT_ENGINES
from app.quirks.gemini_tools import json_instruction
from app.quirks.report import Report
from app.quirks.tool_names import function_name
from app.utils.assemble import assemble

if TYPE_CHECKING:
    from app.engines import Engine
    from app.utils.model_resolver import Target

JSON_FORMATS = ("json_object", "json_schema")
TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
REPAIR_TURNS = 1
MUST_CALL = "You must call a tool now. Answer with one <tool_call> block and nothing else."


@dataclass(frozen=True)
class Asked:
    """A request as the upstream gets it, and what its answer is read with."""

    plain: dict[str, Any]
    tools: list[dict[str, Any]]
    must_call: bool
    single: bool
    wants_json: bool
    example: tuple[str, dict[str, Any]] | None

    def reader(self) -> AnswerReader:
        """Return what reads one answer."""
        return AnswerReader(self.tools, self.single, self.wants_json, self.example)

    @property
    def plainly(self) -> bool:
        """Whether there is nothing to be read in an answer."""
        return not self.tools and not self.wants_json


class EmulatedEngine:
    """An engine that takes and returns tool calls around one that cannot."""

    WHOLE_CALLS = True  # each call comes in one piece
    NOTES_REQUEST = True  # what is sent is not what the turn prepared

    def __init__(self, engine: "Engine", report: Report) -> None:
        self._engine = engine
        self._report = report

    def complete(self, body: dict[str, Any], target: "Target", call: UpstreamCall) -> dict[str, Any]:
        """Return the whole answer, calls read out of its text. Raises what the engine raises, and InvalidRequest."""
        asked = self._ask(body, target, call)
        answer = self._engine.complete(asked.plain, target, call)
        if asked.plainly:
            return answer
        streamed = isinstance(answer.get("chunks"), list)
        if not streamed and not isinstance(answer.get("choices"), list):
            return answer  # an error in place of an answer
        reader = asked.reader()
        chunks = reader.take_whole(answer, call.saw_done)
        if again := self._again(asked, reader, target):
            self._note(again, call)
            second = asked.reader()
            try:
                second.take_whole(self._engine.complete(again, target, call), True)
            except ClientGone:
                raise
            except GatewayError as error:
                self._failed(error)
            reader.correct(second)
        chunks += reader.finish()
        self._tell(reader)
        return {"chunks": chunks} if streamed else {**answer, **assemble(chunks)}

    def stream(self, body: dict[str, Any], target: "Target", call: UpstreamCall) -> Iterator[list[Any]]:
        """Yield the answer's chunks: text as it comes, each call as soon as it is complete."""
        asked = self._ask(body, target, call)
        batches = self._engine.stream(asked.plain, target, call)
        if asked.plainly:
            yield from batches
            return
        reader = asked.reader()
        for batch in batches:
            yield [made for chunk in batch for made in reader.take(chunk)]
        if rest := reader.end(call.saw_done):
            yield rest
        if again := self._again(asked, reader, target):
            yield from self._correct(again, asked, reader, target, call)
        yield reader.finish()
        self._tell(reader)

    def _ask(self, body: dict[str, Any], target: "Target", call: UpstreamCall) -> Asked:
        """Render tools and history into plain messages that fit the target."""
        options, emulate = target.options, bool(target.options.get("toolEmulation"))
        tools = _offered(body, options) if emulate else []
        choice = body.get("tool_choice")
        section = tools_section(tools, choice) if tools else ""
        if not section:
            tools = []
        form = body.get("response_format")
        in_words = isinstance(form, dict) and form.get("type") in JSON_FORMATS and target.engine_name in TEXT_ENGINES
        if isinstance(form, dict) and in_words:
            section = f"{section}\n\n{json_instruction(form)}".strip()
            self._report.note("emulation.format", "response_format", form, "asked for in words")
        limits = Limits(_cap(options, "maxSystemCharacters"), _cap(options, "maxPromptTokens"))
        fitted = fit(body["messages"], section, limits)
        for change in fitted.changes:
            self._report.note("emulation.budget", "messages", None, change)
        plain = {name: value for name, value in body.items() if not emulate or name not in TOOL_FIELDS}
        plain["messages"] = fitted.messages
        if emulate:
            plain["messages"] = _with_section(render_messages(fitted.messages), section)
            self._tell_prompt(body, tools, fitted.messages)
        self._note(plain, call)
        forced = bool(tools) and (choice == "required" or bool(function_name(choice)))
        example = example_call(tools, choice)
        return Asked(plain, tools, forced, body.get("parallel_tool_calls") is False, in_words, example)

    def _note(self, body: dict[str, Any], call: UpstreamCall) -> None:
        """Note what is sent, unless the engine itself does."""
        if not getattr(self._engine, "NOTES_REQUEST", False):
            call.trace.note("upstream_request", body)

    def _tell_prompt(self, body: Mapping[str, Any], tools: list, messages: list) -> None:
        if body.get("tools"):
            self._report.note("emulation.prompt", "tools", len(body["tools"]), f"{len(tools)} tools in the prompt")
        spoken = sum(1 for message in messages if message.get("tool_calls") or message.get("role") == "tool")
        if images := others_in(messages):
            self._report.note("emulation.images", "messages", images, "named in the text")
        if spoken:
            self._report.note("emulation.history", "messages", spoken, "calls and results as text")

    def _again(self, asked: Asked, reader: AnswerReader, target: "Target") -> dict[str, Any] | None:
        """Return the request of the repair turn, None where none is needed or wanted."""
        missing = asked.must_call and not reader.called
        if not reader.correctable or not (reader.broken or missing) or not target.options.get("toolRepairTurns", REPAIR_TURNS):
            return None
        before = len(reader.broken)
        self._report.note("emulation.retry", "tool_calls", before, "; ".join(filter(None, reader.problems)) or "no call")
        turn = [{"role": "assistant", "content": reader.said or "(nothing)"}]
        turn.append({"role": "user", "content": repair_message(reader.broken, reader.called) if before else MUST_CALL})
        return {**asked.plain, "messages": [*asked.plain["messages"], *turn]}

    def _correct(
        self, again: dict[str, Any], asked: Asked, reader: AnswerReader, target: "Target", call: UpstreamCall
    ) -> Iterator[list[Any]]:
        """Ask for the broken calls once more; nothing but keep-alive ticks leaves meanwhile."""
        self._note(again, call)
        second, done = asked.reader(), call.saw_done
        try:
            for batch in self._engine.stream(again, target, call):
                for chunk in batch:
                    second.take(chunk)
                yield []
            second.end(call.saw_done)
        except ClientGone:
            raise
        except GatewayError as error:
            self._failed(error)
        call.saw_done = done
        reader.correct(second)

    def _failed(self, error: GatewayError) -> None:
        self._report.note("emulation.retry", "tool_calls", str(error), "the first answer's calls stay")

    def _tell(self, reader: AnswerReader) -> None:
        for where, call in reader.made:
            self._report.note("emulation.calls", where, call.raw, call_text({"function": call._asdict()}))
            for note in call.notes:
                self._report.note("emulation.arguments", where, call.raw, note)
        for name in reader.undeclared:
            self._report.note("emulation.undeclared", "content", name, "left as text")
        if reader.unfenced:
            self._report.note("emulation.format", "content", "code fence", "left out")
        if reader.dropped:
            self._report.note("emulation.results", "content", f"{reader.dropped} characters", "dropped")


def _offered(body: Mapping[str, Any], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the tools that the model is told of: not those of `dropTools`, and only the one that must be called."""
    unwanted = options.get("dropTools")
    left_out = set(unwanted) if isinstance(unwanted, list) else set()
    chosen = function_name(body.get("tool_choice"))
    tools = [tool for tool in body.get("tools") or () if function_name(tool) and function_name(tool) not in left_out]
    return [tool for tool in tools if function_name(tool) == chosen] or tools


def _cap(options: Mapping[str, Any], name: str) -> int | None:
    value = options.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _with_section(messages: list[dict[str, Any]], section: str) -> list[dict[str, Any]]:
    """Put the tools at the end of the last of the leading system messages; a new one where there is none."""
    if not section:
        return messages
    if messages and messages[0].get("role") == "system":
        text = messages[0].get("content") or ""
        return [{**messages[0], "content": f"{text}\n\n{section}" if text else section}, *messages[1:]]
    return [{"role": "system", "content": section}, *messages]
