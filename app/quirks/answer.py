"""The two doors through which an answer is repaired: `repair` for a whole one, `repair_stream` for a stream.

A whole answer goes through the same machine as a stream, as one synthetic chunk, so that the two modes cannot drift
apart. No transport, no HTTP, no formatting.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from app.errors import UpstreamError, UpstreamTruncated
from app.quirks import errors, finish, gemini, groq_repair, openai_stream, reasoning, sound_calls, stream_repair, usage
from app.quirks.errors import TurnUnusable, map_upstream_error
from app.quirks.families import family_of
from app.quirks.ledger import Ledger, Notes, answer_rule
from app.quirks.sound_calls import OnSignature
from app.quirks.stream_repair import Conduct, StreamRepair

__all__ = ["RULES", "TurnUnusable", "repair", "repair_stream"]


class AnswerTarget(Protocol):
    """What a repair reads of a target."""

    @property
    def model(self) -> str: ...
    @property
    def base_url(self) -> str | None: ...
    @property
    def options(self) -> Mapping[str, Any]: ...
    @property
    def limit(self) -> Mapping[str, Any]: ...


class Report(Notes, Protocol):
    """What a repair needs of a report."""

    renames: dict[str, str]


class Ended(Protocol):
    """What a repair reads of a call: whether the upstream said that its stream is complete."""

    saw_done: bool


def repair(
    answer: Any, body: Mapping[str, Any], target: AnswerTarget, report: Report, call: object = None, *,
    modes: Mapping[str, str] | None = None, last_attempt: bool = False, on_signature: OnSignature | None = None,
    whole_calls: bool = False,
) -> dict[str, Any]:
    """Return a whole `chat.completion` in good shape, with usage; `answer` is taken over and may be changed.

    An UpstreamError may stand in its place: a refusal may hold what the model said. `body` is what was sent upstream,
    `modes` are rule ids (or their first part) with fix, warn or off; `whole_calls` is as in `repair_stream`: those that
    would have left before a broken one stay. Calls `on_signature(id, signature)` for each thought signature on a tool call.
    Raises TurnUnusable for an empty or malformed turn unless this is the `last_attempt`, which says it in words;
    UpstreamError when the answer is an error.
    """
    if not isinstance(answer, dict | UpstreamError):
        raise map_upstream_error(None, {}, answer)
    conduct = _conduct(
        target, last_attempt=last_attempt, on_signature=on_signature, whole_calls=whole_calls, streamed=False
    )
    ledger = Ledger(report, modes)
    machine = StreamRepair(body, report.renames, ledger, conduct)
    if isinstance(answer, UpstreamError):
        return _collect({}, {}, [*machine.feed(answer), *machine.end(done=True)])
    if isinstance(answer.get("chunks"), list):
        return _collect_stream(answer["chunks"], machine, ledger, bool(getattr(call, "saw_done", True)))
    chunk, given = _as_chunk(answer)
    return _collect(answer, given, [*machine.feed(chunk), *machine.end(done=True)])


def _collect_stream(chunks: list[Any], machine: StreamRepair, ledger: Ledger, done: bool) -> dict[str, Any]:
    """Put an answer together that came as a stream although a whole one was asked for."""
    streamed_anyway(ledger, len(chunks))
    repaired = [made for chunk in chunks for made in machine.feed(chunk)] + machine.end(done)
    return _collect(next((chunk for chunk in chunks if isinstance(chunk, dict)), {}), {}, repaired)


def streamed_anyway(ledger: Ledger, count: int) -> None:
    """Some relays stream whatever is asked: an event stream in answer to `stream: false` is put together again."""
    ledger.allows("answer.streamed_anyway", "answer", f"{count} chunks", "one answer")


def asked_again(note: Callable[[str, str, object, object], None], why: object, reason: str) -> None:
    """A turn that was refused for a reason that can be mended, or came empty, is asked once more before anything is sent."""
    note("turn.retry", "turn", str(why), reason)


def repair_stream(
    batches: Iterable[list[Any]], body: Mapping[str, Any], target: AnswerTarget, report: Report, call: Ended, *,
    modes: Mapping[str, str] | None = None, last_attempt: bool = False, hold: bool = True,
    on_truncated: str = "error", on_signature: OnSignature | None = None, include_usage: bool | None = None,
    whole_calls: bool = False, on_usage: Callable[[dict], object] | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Yield one list of repaired chunks for each batch of chunks, and the end of the answer as the last.

    An empty list means that nothing leaves yet. `hold=False` lets a call leave as soon as it is whole and the next one
    begins; `whole_calls` says that each comes in one piece and may leave at once. `on_truncated` says how a cut stream
    ends: error, length or stop. `include_usage` says whether the client asked for usage, where `body` does not tell;
    if not, `on_usage` is told what the upstream counted.
    Else as `repair`.
    Raises TurnUnusable only while nothing but reasoning was yielded; UpstreamTruncated, UpstreamError at any time.
    """
    conduct = _conduct(
        target, last_attempt=last_attempt, on_signature=on_signature, hold=hold, on_truncated=on_truncated,
        include_usage=include_usage, whole_calls=whole_calls, on_usage=on_usage,
    )  # fmt: skip
    machine = StreamRepair(body, report.renames, Ledger(report, modes), conduct)
    lost = False
    try:
        try:
            yield from _feed(batches, machine)
        except UpstreamTruncated:
            lost = True  # whether that matters depends on what the answer has said
        yield machine.end(call.saw_done, lost)
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def _feed(batches: Iterable[list[Any]], machine: StreamRepair) -> Iterator[list[dict[str, Any]]]:
    """Yield what leaves of each batch."""
    begun = False  # something left before, if only reasoning
    for batch in _with_refusals(batches):
        repaired: list[dict[str, Any]] = []
        try:
            for chunk in batch:
                repaired += machine.feed(chunk)
        except UpstreamError:
            # What stood before the error in the same read. Text may still be asked for again, so only thoughts go on.
            left = repaired if machine.sent else [c for c in repaired if not openai_stream.says_something([c])]
            if begun and left:
                yield left
            raise
        machine.sent = machine.sent or openai_stream.says_something(repaired)
        begun = begun or bool(repaired)
        yield repaired


def _with_refusals(batches: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Yield each batch; a refusal that may hold what the model said becomes the last one."""
    try:
        yield from batches
    except UpstreamError as error:
        if groq_repair.read_refusal(error.upstream_body) is None:
            raise
        yield [error]


def _conduct(target: AnswerTarget, **how: Any) -> Conduct:
    """Read the settings of a provider (`toolIds`, `thinkTags`, `thoughtTags`, `onTruncated`)."""
    options = target.options
    if options.get("onTruncated"):
        how["on_truncated"] = options["onTruncated"]
    return Conduct(
        tool_ids=options.get("toolIds", "keep"),
        options=options,
        think_tags=options.get("thinkTags") is True,
        thought_tags=options.get("thoughtTags") is True,
        family=family_of(target.model, options, target.base_url),
        window=target.limit.get("context"),
        **how,
    )


def _as_chunk(answer: dict[str, Any]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Return a whole answer as one chunk, and its messages by the index of their choice."""
    choices, messages = answer.get("choices"), {}
    for position, choice in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(choice, dict):
            message = choice.pop("message", None)
            if message is not None:
                choice["delta"] = message
            if isinstance(choice.get("delta"), dict):
                messages[openai_stream.choice_index(choice, position)] = choice["delta"]
    chunk = dict(answer)
    if "choices" not in chunk and not openai_stream.error_in(chunk):
        chunk["choices"] = None
    return chunk, messages


def _collect(answer: dict[str, Any], given: dict[int, dict[str, Any]], chunks: list[dict]) -> dict[str, Any]:
    """Put the chunks of one answer together again, with what its top level and messages had besides."""
    choices: dict[int, dict[str, Any]] = {}
    counts: dict[str, Any] = {}
    for chunk in chunks:
        counts = chunk.get("usage") or counts
        for choice in chunk["choices"]:
            index = choice["index"]
            whole = choices.setdefault(index, {"index": index, "message": _message(given.get(index, {}))})
            _add(whole["message"], choice["delta"])
            whole.update({name: choice[name] for name in ("finish_reason", "logprobs") if choice.get(name)})
    top = openai_stream.top_of(answer)
    ordered = [choices[index] for index in sorted(choices)]
    return {**top, "object": "chat.completion", "choices": ordered, "usage": counts}


def _message(given: dict[str, Any]) -> dict[str, Any]:
    """Begin a message with the fields that no rule knows."""
    known = openai_stream.NOT_MESSAGE
    unknown = {name: value for name, value in given.items() if name not in known and value is not None}
    content = "" if given.get("content") == "" else None
    return {"role": "assistant", "content": content, "refusal": None, **unknown}


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if value is None or name == "role":
            continue
        if name == "tool_calls":
            value = [{key: part for key, part in call.items() if key != "index"} for call in value]
        old = message.get(name)
        if isinstance(old, str) and isinstance(value, str):
            message[name] = old + value
        elif isinstance(old, list) and isinstance(value, list):
            message[name] = [*old, *value]
        else:
            message[name] = value


RULES = (
    *openai_stream.RULES,
    answer_rule("turn.truncated", stream_repair.truncated),
    answer_rule("turn.retry", asked_again),
    answer_rule("answer.streamed_anyway", streamed_anyway),
    answer_rule("turn.refused_call", stream_repair.refused_call),
    *groq_repair.RULES,
    *sound_calls.RULES,
    *finish.RULES,
    *usage.RULES,
    *reasoning.RULES,
    *gemini.RULES,
    *errors.RULES,
)
