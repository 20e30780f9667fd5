"""How a turn ended: any upstream's finish reason and what was said and called -> one of OpenAI's; knows no chunks."""

from typing import NamedTuple

from app.quirks.ledger import Ledger, answer_rule

LEGAL = ("stop", "length", "tool_calls", "content_filter", "function_call")

ENDED, FULL, FILTERED, MALFORMED, CUT = "ended", "full", "filtered", "malformed", "cut"

KINDS = {
    **dict.fromkeys(("max_tokens", "length", "model_length", "max_length", "max_output_tokens"), FULL),
    "model_context_window_exceeded": FULL,
    **dict.fromkeys(("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"), FILTERED),
    **dict.fromkeys(("content_filter", "refusal", "sensitive", "guardrail_intervened", "model_armor"), FILTERED),
    **dict.fromkeys(("malformed_function_call", "unexpected_tool_call", "too_many_tool_calls"), MALFORMED),
    **dict.fromkeys(("malformed_response", "missing_thought_signature"), MALFORMED),
    **dict.fromkeys(("error", "abort", "aborted", "cancelled", "network_error", "insufficient_system_resource"), CUT),
}

WORDS_MALFORMED = "[gateway: the model produced a malformed tool call; please continue]"
WORDS_EMPTY = "[gateway: the model returned an empty answer; please try again]"
WORDS_CUT_CALL = "[gateway: the output limit cut the model's tool call, so it was not run]"
WORDS_FILTERED = "[gateway: the upstream withheld the answer: {}]"


class Turn(NamedTuple):
    """What is known of a choice at its end: raw finish reasons, whether it said or called anything, what is broken."""

    raw: str | None
    native: str | None
    spoke: bool
    called: bool
    broken: str | None
    legacy: bool = False  # a `function_call` passed to a client that offered `functions`
    released: bool = False  # sound calls have left already: the agent must go on with them


class Verdict(NamedTuple):
    """How a choice ends: its finish reason, whether calls may leave, words to add, and why the turn is unusable."""

    finish: str
    release: bool = True
    words: str | None = None
    unusable: str | None = None


def kind_of(raw: str | None) -> str:
    """Classify a finish reason; an unknown one, and none, count as an ordinary end."""
    name = (raw or "").strip().lower().replace("-", "_").removeprefix("finish_reason_")
    if name.startswith("function_call_filter"):
        return MALFORMED
    if name.startswith("image_"):
        return FILTERED
    return KINDS.get(name, ENDED)


def is_end(raw: str | None) -> bool:
    """Tell whether a finish reason says that the turn is over, as it should be or not."""
    return bool(raw) and kind_of(raw) != CUT


def kind_of_turn(turn: Turn) -> str:
    """Classify a turn; the upstream's own reason counts where a translator made a plain end of a broken one."""
    kind = kind_of(turn.raw)
    native = kind_of(turn.native)
    return native if kind == ENDED and native in (MALFORMED, FILTERED) else kind


def judge(turn: Turn, ledger: Ledger, where: str) -> Verdict:
    """Decide how a choice ends. A turn of kind CUT is not for this function: its stream is truncated."""
    kind = kind_of_turn(turn)
    if kind == FILTERED:
        return _filtered(turn, ledger, where)
    if kind == FULL:
        return _full(turn, ledger, where)
    if kind == MALFORMED or turn.broken:
        return malformed_turn(turn, ledger, where)
    if turn.called or turn.legacy:
        return Verdict(finish_name(turn.raw, "tool_calls" if turn.called else "function_call", ledger, where))
    if not turn.spoke:
        return empty_turn(turn, ledger, where)
    return Verdict(finish_name(turn.raw, "stop", ledger, where))


def finish_name(raw: str | None, finish: str, ledger: Ledger, where: str) -> str:
    """The finish reason is missing or not one of OpenAI's (`STOP`, `eos`): OpenCode asks again for ever."""
    if raw == finish:
        return raw
    if finish == "tool_calls" and raw in ("stop", None, ""):
        return finish_calls(raw, ledger, where)
    return finish if ledger.allows("finish.map", where, raw, finish) else raw or finish


def finish_calls(raw: str | None, ledger: Ledger, where: str) -> str:
    """A turn that calls tools ends with `stop` (Gemini's streams, LiteLLM): loops that test the reason end there."""
    return "tool_calls" if ledger.allows("finish.tool_calls", where, raw, "tool_calls") else raw or "stop"


def malformed_turn(turn: Turn, ledger: Ledger, where: str) -> Verdict:
    """The model's tool call cannot be read (MALFORMED_FUNCTION_CALL): asked again once, else said; no call is run."""
    reason = turn.broken or turn.native or turn.raw
    if ledger.allows("turn.malformed", where, reason, "no call is passed on"):
        finish = "tool_calls" if turn.released else "stop"
        return Verdict(finish, release=False, words=WORDS_MALFORMED, unusable=f"malformed tool call: {reason}")
    return Verdict("tool_calls" if turn.called else "stop")


def empty_turn(turn: Turn, ledger: Ledger, where: str) -> Verdict:
    """The turn has neither text nor calls, with HTTP 200 (litellm#40252, gcli2api#406): asked again once, else said."""
    finish = finish_name(turn.raw, "stop", ledger, where)
    if ledger.allows("turn.empty", where, None, WORDS_EMPTY):
        return Verdict(finish, words=WORDS_EMPTY, unusable="empty answer")
    return Verdict(finish)


def _filtered(turn: Turn, ledger: Ledger, where: str) -> Verdict:
    finish = finish_name(turn.raw, "content_filter", ledger, where)
    return Verdict(finish, release=False, words=None if turn.spoke else filtered_turn(turn, ledger, where))


def filtered_turn(turn: Turn, ledger: Ledger, where: str) -> str | None:
    """A filter stopped the answer before it began: agents show nothing, so the reason is said."""
    words = WORDS_FILTERED.format(turn.raw if kind_of(turn.raw) == FILTERED else turn.native)
    return words if ledger.allows("turn.filtered", where, None, words) else None


def _full(turn: Turn, ledger: Ledger, where: str) -> Verdict:
    finish = finish_name(turn.raw, "length", ledger, where)
    words = cut_call(turn, ledger, where) if turn.broken else None
    return Verdict(finish, words=None if turn.spoke or turn.called else words)


def cut_call(turn: Turn, ledger: Ledger, where: str) -> str | None:
    """The output limit cut a tool call: its half is never passed on, or an agent writes half a file."""
    return WORDS_CUT_CALL if ledger.allows("tool.cut", where, turn.broken, "dropped") else None


RULES = (
    answer_rule("finish.map", finish_name),
    answer_rule("finish.tool_calls", finish_calls),
    answer_rule("turn.malformed", malformed_turn),
    answer_rule("turn.empty", empty_turn),
    answer_rule("turn.filtered", filtered_turn),
    answer_rule("tool.cut", cut_call),
)
