"""Makes a conversation fit a small context before it is sent: what is cut, what is dropped, and what never is.

The tools always stay whole. In this order: the system text is cut to its cap, the oldest turns are dropped (a call and
its results together), the system text gives way, long tool results lose their middle. The last user message stays as
it is; what does not fit even then is refused, so that the agent compacts its history instead of working blind.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from app.errors import InvalidRequest
from app.utils.tokens import content_texts, message_texts

MARK = "\n[… {} characters left out by the gateway …]\n"
PER_MESSAGE = 5  # tokens: the role and the marks around a text in Llama's and ChatML's templates
LEAST_SYSTEM = 5  # the system text keeps at least this part of the room
LEAST_RESULT = 400  # characters of a tool result that are kept at least
# Pieces as the byte-pair encodings of today cut them: words at a change of case, digits by three, runs of signs, blanks.
_PIECES = re.compile(
    r" ?[A-Z]*[a-z]+| ?[A-Z]+|\d{1,3}|[^\S\n]+(?= )|\s*\n\s*|[^\S\n]+| ?[!-/:-@\[-`{-~]{1,3}|[^\x00-\x7f]|[\x00-\x1f\x7f]"
)
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
    others = 0.0
    if not text.isascii():
        others = sum(_ASTRAL if character > "\uffff" else _OTHER_SCRIPT for character in text if character > "\x7f")
        text = text.encode("ascii", "ignore").decode()
    pieces = _PIECES.findall(text)
    return round(others) + len(pieces) + sum(len(piece) // _LONG for piece in pieces if len(piece) > _LONG)


def fit(messages: Sequence[Mapping[str, Any]], section: str, limits: Limits) -> Fitted:
    """Return the messages (OpenAI's, calls not rendered yet) that fit beside the tools' `section`.

    Raises InvalidRequest (`context_length_exceeded`) when the tools and the last message alone are too long.
    """
    system = "\n\n".join(_text(message) for message in messages if _is_system(message))
    rest = [dict(message) for message in messages if not _is_system(message)]
    changes: list[str] = []
    if limits.system_characters is not None:
        if len(section) > limits.system_characters:
            raise _too_long(f"the tools alone take {len(section)} of {limits.system_characters} characters")
        system = _cut_system(system, limits.system_characters - len(section), changes)
    if limits.prompt_tokens is not None:
        room = limits.prompt_tokens - estimate_tokens(section) - PER_MESSAGE
        system, rest = _fit_tokens(system, rest, room, changes)
    if not changes:
        return Fitted([dict(message) for message in messages])
    head = [{"role": "system", "content": system}] if system else []
    return Fitted(head + rest, tuple(changes))


def _fit_tokens(system: str, rest: list[dict], room: int, changes: list[str]) -> tuple[str, list[dict]]:
    base = estimate_tokens(system)
    units = [(sum(map(cost, unit)), unit) for unit in units_of(rest)]
    rest, spent = _drop_oldest(units, room - base, changes)
    if base + spent <= room:
        return system, rest
    allowed = max(room - spent, room // 2, 0)
    if base > allowed:
        system = _cut_system(system, int(len(system) * allowed / base), changes)
        base = estimate_tokens(system)
    if base + spent > room:
        rest = _shorten_results(rest, base + spent - room, changes)
        spent = sum(map(cost, rest))
    if base + spent > room:
        least = min(base, room // LEAST_SYSTEM)
        if spent + least > room:
            raise _too_long(f"about {base + spent} tokens where {max(room, 0)} fit beside the tools")
        system = _cut_system(system, int(len(system) * (room - spent) / base), changes)
    return system, rest


def units_of(messages: Iterable[dict]) -> list[list[dict]]:
    """Group messages into what may only be dropped together: an assistant's calls and their results."""
    units: list[list[dict]] = []
    for message in messages:
        if message.get("role") in ("tool", "function") and units and units[-1][0].get("role") == "assistant":
            units[-1].append(message)
        else:
            units.append([message])
    return units


def _drop_oldest(units: list[tuple[int, list[dict]]], room: int, changes: list[str]) -> tuple[list[dict], int]:
    """Drop units from the front, but the last user message and the last unit."""
    asked = max((at for at, (_, unit) in enumerate(units) if unit[0].get("role") == "user"), default=-1)
    spent, dropped = sum(tokens for tokens, _ in units), 0
    kept = []
    for at, (tokens, unit) in enumerate(units):
        if spent > room and at not in (asked, len(units) - 1):
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


def _cut_system(system: str, most: int, changes: list[str]) -> str:
    if len(system) <= most:
        return system
    mark = MARK.format(len(system) - most)
    changes.append(f"system text cut from {len(system)} to {most} characters")
    return system[: most - len(mark)] + mark if most > len(mark) else system[: max(most, 0)]


def _shorten_results(messages: list[dict], surplus: int, changes: list[str]) -> list[dict]:
    """Take `surplus` tokens out of the middle of the longest tool results."""
    results = [message for message in messages if message.get("role") in ("tool", "function")]
    for message in sorted(results, key=lambda found: -len(_text(found))):
        if surplus <= 0:
            break
        text = _text(message)
        before = estimate_tokens(text)
        share = max(0.0, 1 - (surplus + 20) / max(before, 1))
        keep = max(LEAST_RESULT, int(len(text) * share))
        if keep >= len(text):
            continue
        message["content"] = without_middle(text, keep)
        surplus -= before - estimate_tokens(message["content"])
        changes.append(f"a tool result cut from {len(text)} to {keep} characters")
    return messages


def without_middle(text: str, keep: int) -> str:
    """Return the first two thirds and the last third of what is kept, with a mark between them."""
    tail = keep // 3
    return text[: keep - tail] + MARK.format(len(text) - keep) + text[len(text) - tail :]


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
