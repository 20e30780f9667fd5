"""Token counts of an answer: which object counts, its numbers, and hidden thinking; knows no chunks and no choices."""

from app.quirks.ledger import Ledger, answer_rule
from app.utils import tokens

PROMPT = ("prompt_tokens", "input_tokens")
COMPLETION = ("completion_tokens", "output_tokens")
MAX_COUNT = 1 << 53
DETAILS = ("prompt_tokens_details", "completion_tokens_details")
CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


def find_usage(chunk: dict) -> dict | None:
    """Usage rides on any chunk, on a choice (Moonshot) or under `x_groq`; return it, None when there is none."""
    usage = chunk.get("usage")
    if usage and isinstance(usage, dict):
        return usage
    groq = chunk.get("x_groq")
    if isinstance(groq, dict) and isinstance(groq.get("usage"), dict) and groq["usage"]:
        return groq["usage"]
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(choice.get("usage"), dict) and choice["usage"]:
            return choice["usage"]
    return None


def final_chunk(ledger: Ledger) -> None:
    """Usage comes on a chunk that carries a choice, or on every chunk (Gemini, Perplexity): agents add it up.

    Continue shows nothing at all then. It leaves once, last, with `choices: []`, and only if it was asked for.
    """
    ledger.allows_once("usage.final_chunk", "usage", "on a chunk with a choice", "one last chunk")


def repair_usage(usage: dict, ledger: Ledger) -> dict:
    """Return `usage` with whole numbers, OpenAI's names, cached tokens and all of the thinking in it."""
    counts = {name: value for name, value in usage.items() if value is not None or name not in DETAILS}
    prompt, completion, total = _count(usage, PROMPT), _count(usage, COMPLETION), _count(usage, ("total_tokens",))
    for name, value in zip((*PROMPT[:1], *COMPLETION[:1], "total_tokens"), (prompt, completion, total), strict=True):
        numbers(counts, name, value if name != "total_tokens" or total else prompt + completion, ledger)
    for name in DETAILS:
        if name in counts:
            counts[name] = _details(counts[name])
    cached_tokens(counts, ledger)
    hidden_thinking(counts, ledger)
    return counts


def numbers(counts: dict, name: str, value: int, ledger: Ledger) -> None:
    """A count is null, missing, a float or has another vendor's name; agents' schemas ask for whole numbers."""
    before = counts.get(name)
    if (type(before) is not int or before != value) and ledger.allows("usage.numbers", f"usage.{name}", before, value):
        counts[name] = value


def cached_tokens(counts: dict, ledger: Ledger) -> None:
    """Cached prompt tokens stand beside the counts (DeepSeek, Hugging Face), not in `prompt_tokens_details`."""
    details = counts.get(DETAILS[0]) or {}
    cached = _count(counts, CACHED)
    if cached and "cached_tokens" not in details:
        if ledger.allows("usage.cached_tokens", "usage", None, cached):
            counts[DETAILS[0]] = details | {"cached_tokens": cached}


def hidden_thinking(counts: dict, ledger: Ledger) -> None:
    """`total_tokens` holds thinking that `completion_tokens` leaves out (Gemini, xAI): any-llm#1291, Portkey#1458."""
    prompt, completion, total = counts[PROMPT[0]], counts[COMPLETION[0]], counts["total_tokens"]
    if not all(type(count) is int for count in (prompt, completion, total)) or total <= prompt + completion:
        return
    if ledger.allows("usage.hidden_thinking", "usage.completion_tokens", completion, total - prompt):
        details = counts.get(DETAILS[1]) or {}
        told = _count(details, ("reasoning_tokens",))
        counts[DETAILS[1]] = details | {"reasoning_tokens": max(told, total - prompt - completion)}
        counts[COMPLETION[0]] = total - prompt


def estimated(body: dict, characters: int, window: object, ledger: Ledger) -> dict:
    """The upstream sends no usage at all: agents then never compact (opencode#13141); four characters are a token.

    The prompt is never reported as larger than the model's window, or OpenCode compacts for ever (opencode#50474).
    """
    prompt = tokens.count_request(body)
    if isinstance(window, int) and window > 0:
        prompt = min(prompt, window)
    guessed = tokens.usage(prompt, -(-characters // tokens.CHARACTERS_PER_TOKEN))
    ledger.allows("usage.estimated", "usage", None, guessed)
    return guessed


def _count(usage: dict, names: tuple[str, ...]) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _whole(value)
    return 0


def _details(details: object) -> dict:
    if not isinstance(details, dict):
        return {}
    counts: dict = {}
    for name, value in details.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            counts[name] = _whole(value)
        elif value is not None and not name.endswith("_tokens"):
            counts[name] = value
    return counts


def _whole(value: float) -> int:
    return int(max(min(value, MAX_COUNT), 0)) if value == value else 0


RULES = (
    answer_rule("usage.final_chunk", final_chunk),
    answer_rule("usage.numbers", numbers),
    answer_rule("usage.cached_tokens", cached_tokens),
    answer_rule("usage.hidden_thinking", hidden_thinking),
    answer_rule("usage.estimated", estimated),
)
