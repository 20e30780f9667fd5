"""Makes a conversation fit a small context before it is sent: what is cut, what is dropped, and what never is.

The tools always stay whole. In this order: a system text above its cap or above two thirds of the room loses its middle
(its end holds the folder and the rules of a project), the oldest turns are dropped (a call and its results together),
long tool results lose their middle, the system text gives way further. The last user message stays as
it is; what does not fit even then is refused, so that the agent compacts its history instead of working blind.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.errors import InvalidRequest
from app.utils.tokens import content_texts, message_texts

MARK = "\n[… {} characters left out by the gateway …]\n"
MARK_TOKENS = 8  # that a mark takes more than the text in its place
PER_MESSAGE = 5  # tokens: the role and the marks around a text in Llama's and ChatML's templates
MOST_SYSTEM = 2 / 3  # of the room, where the history needs the rest
LEAST_SYSTEM = 5  # the system text keeps at least this part of the room
TRIMS = 4
LEAST_RESULT = 400  # characters of a tool result that are kept at least
# Pieces as the byte-pair encodings of today cut them: words at a change of case, digits by three, runs of signs, blanks.
_PIECES = re.compile(
    r" ?[A-Z]*[a-z]+| ?[A-Z]+|\d{1,3}|[^\S\n]+(?= )|\s*\n\s*|[^\S\n]+| ?[!-/:-@\[-`{-~]{1,3}|[^\x00-\x7f]|[\x00-\x1f\x7f]"
)
# Characters a token at most, however easy a text is: ChatJimmy was seen to take about 24 KB of everything.
_EASIEST = 4.4
_LONG = 9  # letters that one token may hold; more are counted as several
_OTHER_SCRIPT, _ASTRAL = 0.75, 3.0  # tokens a character: Korean and Chinese, emoji


class Limits(NamedTuple):
    """The caps of one model; None means no cap. Characters of the whole system prompt, tokens of everything."""

    system_characters: int | None = None
    prompt_tokens: int | None = None


class Fitted(NamedTuple):
    """The messages that are sent, and what was left out, in words for the report."""

    messages: list[dict[str, Any]]
    changes: tuple[str, ...] = ()


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text, rather too many than too few: 1.1 to 1.25 times cl100k's count for prose and code.

    Llama 3's vocabulary is cl100k's, extended. Base64 is undercounted (0.67); a fixed number of characters a token
    would be wrong by a factor of two between English and Korean.
    """
    others, easiest = 0.0, round(len(text) / _EASIEST)
    if not text.isascii():
        others = sum(_ASTRAL if character > "\uffff" else _OTHER_SCRIPT for character in text if character > "\x7f")
        text = text.encode("ascii", "ignore").decode()
    pieces = _PIECES.findall(text)
    found = round(others) + len(pieces) + sum(len(piece) // _LONG for piece in pieces if len(piece) > _LONG)
    return max(found, easiest)


def fit(messages: Sequence[Mapping[str, Any]], section: str, limits: Limits) -> Fitted:
    """Return the messages (OpenAI's, calls not rendered yet) that fit beside the tools' `section`.

    Raises InvalidRequest (`context_length_exceeded`) when the tools and the last message alone are too long.
    """
    system = "\n\n".join(_text(message) for message in messages if _is_system(message))
    rest = [dict(message) for message in messages if not _is_system(message)]
    changes: list[str] = []
    keep = len(system)  # characters of the system text
    if limits.system_characters is not None:
        if len(section) > limits.system_characters:
            raise _too_long(f"the tools alone take {len(section)} of {limits.system_characters} characters")
        keep = min(keep, limits.system_characters - len(section))
    if limits.prompt_tokens is not None:
        room = limits.prompt_tokens - estimate_tokens(section) - PER_MESSAGE
        keep, rest = _fit_tokens(system, keep, rest, room, changes)
    if keep < len(system):
        changes.append(f"system text cut from {len(system)} to {keep} characters")
    if not changes:
        return Fitted([dict(message) for message in messages])
    head = [{"role": "system", "content": without_middle(system, keep)}] if system and keep else []
    return Fitted(head + rest, tuple(changes))


def _fit_tokens(system: str, keep: int, rest: list[dict], room: int, changes: list[str]) -> tuple[int, list[dict]]:
    """Return how many characters of the system text fit, and the messages that do."""
    whole = estimate_tokens(system)
    rate = max(len(system), 1) / max(whole, 1)  # characters a token
    base = keep / rate
    units = [(sum(map(cost, unit)), unit) for unit in units_of(rest)]
    spent = sum(tokens for tokens, _ in units)
    if base + spent > room:
        base = min(base, max(room - spent, room * MOST_SYSTEM))
    rest, spent = _drop_oldest(units, room - base, changes)
    if base + spent > room:
        base = min(base, max(room - spent, room / 2))
        rest = _shorten_results(rest, base + spent - room, changes)
        spent = sum(map(cost, rest))
    if base + spent > room:
        base = room - spent
        if base < min(whole, room / LEAST_SYSTEM):
            raise _too_long(f"about {round(whole + spent)} tokens where {max(room, 0)} fit beside the tools")
    return _trim(system, keep if base >= keep / rate else max(0, int(base * rate)), room - spent), rest


def _trim(system: str, keep: int, room: int) -> int:
    """Take off what a text of uneven density, and the mark in it, have too much."""
    for _ in range(TRIMS):
        surplus = estimate_tokens(without_middle(system, keep)) - room
        if surplus <= 0:
            break
        keep = max(0, keep - 4 * surplus)
    return keep


def units_of(messages: Iterable[dict]) -> list[list[dict]]:
    """Group messages into what may only be dropped together: an assistant's calls and their results."""
    units: list[list[dict]] = []
    for message in messages:
        if message.get("role") in ("tool", "function") and units and units[-1][0].get("role") == "assistant":
            units[-1].append(message)
        else:
            units.append([message])
    return units


def _drop_oldest(units: list[tuple[int, list[dict]]], room: float, changes: list[str]) -> tuple[list[dict], int]:
    """Drop units from the front, but the last user message and the last unit; what answers a dropped question goes, too."""
    asked = max((at for at, (_, unit) in enumerate(units) if unit[0].get("role") == "user"), default=-1)
    spent, dropped = sum(tokens for tokens, _ in units), 0
    kept: list[list[dict]] = []
    for at, (tokens, unit) in enumerate(units):
        orphan = dropped and not kept and at < asked and unit[0].get("role") != "user"
        if (spent > room or orphan) and at not in (asked, len(units) - 1):
            spent -= tokens
            dropped += len(unit)
        else:
            kept.append(unit)
    if dropped:
        changes.append(f"{dropped} oldest messages dropped")
    return [message for unit in kept for message in unit], spent


def cost(message: Mapping[str, Any]) -> int:
    """Estimate the tokens of one message, calls included."""
    calls = message.get("tool_calls") or ()
    return PER_MESSAGE * (1 + 4 * len(calls)) + sum(map(estimate_tokens, message_texts(dict(message))))


def _shorten_results(messages: list[dict], surplus: float, changes: list[str]) -> list[dict]:
    """Take `surplus` tokens out of the middle of the longest tool results, which then are equally long."""
    results = [message for message in messages if message.get("role") in ("tool", "function")]
    sizes = {id(message): estimate_tokens(_text(message)) for message in results}
    most = _level(sorted(sizes.values()), sum(sizes.values()) - surplus)
    for message in results:
        text, tokens = _text(message), sizes[id(message)]
        keep = max(LEAST_RESULT, int(len(text) * most / max(tokens, 1)))
        if tokens > most and keep < len(text):
            message["content"] = without_middle(text, keep)
            changes.append(f"a tool result cut from {len(text)} to {keep} characters")
    return messages


def _level(sizes: Sequence[int], total: float) -> float:
    """Return the size to which the largest must shrink so that all together are `total` (sizes in rising order)."""
    left = total - MARK_TOKENS * len(sizes)
    for at, size in enumerate(sizes):
        share = left / (len(sizes) - at)
        if size > share:
            return max(share, 0.0)
        left -= size
    return float(sizes[-1]) if sizes else 0.0


def without_middle(text: str, keep: int) -> str:
    """Return `keep` characters: the first two thirds and the last third of what is left, with a mark between them."""
    if keep >= len(text):
        return text
    mark = MARK.format(len(text) - keep)
    own = keep - len(mark)
    if own < len(mark):
        return text[: max(keep, 0)]
    tail = own // 3
    return text[: own - tail] + mark + text[len(text) - tail :]


def _is_system(message: Mapping[str, Any]) -> bool:
    return message.get("role") in ("system", "developer")


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join(content_texts(message.get("content")))


def _too_long(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The conversation does not fit this model's context: {why}. Shorten it, or offer fewer tools (dropTools).",
        param="messages",
        code="context_length_exceeded",
    )
