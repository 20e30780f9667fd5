"""One question put to a model once more, and its answer beside the one that was captured; prints nothing."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.commands import asking
from app.commands.options import masker_of
from app.errors import GatewayError
from app.local_models.targets import find_target
from app.log_writer import escape_controls, one_line
from app.utils.assemble import assemble

if TYPE_CHECKING:
    from app.config import Settings
    from app.recording import Recording

NARROWEST = 20  # characters of a column
LONGEST = 2_000


def ask_again(chat: Mapping[str, Any], name: str, settings: "Settings") -> dict[str, Any]:
    """Ask a model of the gateway; return what it said, as `told` does, `error` set where it failed.

    Raises asking.Interrupted.
    """
    chunks: list[dict[str, Any]] = []
    answer: dict[str, Any] = {}
    began, failure, usage = time.monotonic(), None, None
    try:
        target = find_target(name, settings)
        with asking.cancelled_by_signals() as cancel:
            turn = asking.new_turn({**chat, "model": name}, target, settings, cancel)
            if chat.get("stream"):
                for batch in turn.stream():
                    chunks += batch
                usage = turn.call.trace.measures.usage  # also where the client did not ask for it
            else:
                answer = turn.complete()
    except asking.Interrupted:
        raise
    except GatewayError as error:
        failure = masker_of(settings).mask_text(str(error))
    return told(name, {"usage": usage} | (answer or assemble(chunks)), time.monotonic() - began, failure)


def told_then(recording: "Recording") -> dict[str, Any]:
    """Return what the client was told when it was captured."""
    from app.capture_text import answer_of

    summary = recording.capture.summary
    name = str(recording.target.get("litellm_model") or summary.get("target") or summary.get("model") or "-")
    failure = str(recording.error.get("message")) if recording.error else None
    seconds = summary.get("duration")
    counts = {field: summary.get(field) for field in ("prompt_tokens", "completion_tokens")}
    usage = counts if None not in counts.values() else None  # also where the client did not ask for it
    answer = {"usage": usage} | (answer_of(recording.capture) or {})
    return told(name, answer, seconds if isinstance(seconds, int | float) else 0.0, failure)


def told(model: str, answer: Mapping[str, Any], seconds: float, error: str | None) -> dict[str, Any]:
    """Return what is compared of an answer: its first choice, the token counts, the time."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    said = choice.get("message")
    message = said if isinstance(said, dict) else {"content": choice.get("text")}
    calls = [call.get("function") for call in message.get("tool_calls") or () if isinstance(call, dict)]
    return {
        "model": model,
        "text": message.get("content") or "",
        "reasoning": message.get("reasoning_content") or "",
        "tool_calls": [call for call in calls if isinstance(call, dict)],
        "finish_reason": choice.get("finish_reason"),
        "choices": len(choices) if isinstance(choices, list) else 0,
        "usage": answer.get("usage"),
        "seconds": round(seconds, 3),
        "error": error,
    }


def side_by_side(then: Mapping[str, Any], now: Mapping[str, Any], width: int) -> Iterator[str]:
    """Yield both answers as lines of two columns."""
    column = max(NARROWEST, (width - 3) // 2)
    left, right = (list(_lines(side, title, column)) for side, title in ((then, "then"), (now, "now")))
    for at in range(max(len(left), len(right))):
        one, other = (lines[at] if at < len(lines) else "" for lines in (left, right))
        yield f"{one:{column}} | {other}".rstrip()


def _lines(side: Mapping[str, Any], title: str, column: int) -> Iterator[str]:
    facts = [f"{title}: {side['model']}", f"{side['seconds']} s, finish {side['finish_reason']}"]
    usage = side["usage"] if isinstance(side["usage"], dict) else {}
    facts.append(f"{usage.get('prompt_tokens', '?')} + {usage.get('completion_tokens', '?')} tokens")
    facts.append("-" * column)
    parts = [*facts, *([f"error: {side['error']}"] if side["error"] else [])]
    parts += [f"(thought) {line}" for line in str(side["reasoning"]).split("\n") if line]
    parts += str(side["text"]).split("\n") if side["text"] else []
    parts += [f"{one_line(call.get('name'))}({one_line(call.get('arguments'), LONGEST)})" for call in side["tool_calls"]]
    parts += [f"(the first of {side['choices']} choices)"] if side["choices"] > 1 else []
    for part in parts:
        yield from _wrapped(escape_controls(part.replace("\t", "    ")), column)


def _wrapped(text: str, column: int) -> Iterator[str]:
    for at in range(0, max(1, len(text)), column):
        yield text[at : at + column]
