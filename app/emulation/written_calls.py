"""The text of a call -> the calls it asks for, or None where it asks for none; it knows no tags and no pieces."""

from collections.abc import Mapping
from typing import NamedTuple

from app.emulation import loose_json
from app.emulation.declared_tools import (
    ARGUMENT_KEYS,
    CLOSED,
    CUT_OFF,
    NOTHING,
    REPAIRED,
    DeclaredTools,
    Written,
)


class Found(NamedTuple):
    """Calls in a text, what was repaired to read them, and what is wrong with the last of them."""

    calls: list[Written]
    notes: tuple[str, ...] = ()
    problem: str | None = None


def read_calls(raw: str, name: str, tools: DeclaredTools, *, closed: bool, tagged: bool = False) -> Found | None:
    """Read JSON; `name` is set where it holds only the arguments of that tool.

    `closed`: the value ended by its own brackets. `tagged`: it was ended by a tag, and not by the end of the answer.
    None: no call is meant, or none can be read.
    """
    try:
        value, repaired, cut = loose_json.read(raw, ended=tagged)
    except (ValueError, RecursionError):
        return None
    calls = [_named(name, value, tools)] if name else list(tools.read(value))
    if not any(call.name for call in calls):
        return None
    problem = None
    if not closed and (cut or (not tagged and calls[-1].arguments is NOTHING)):
        problem = CUT_OFF
    notes = (CLOSED,) if not closed and problem is None else (REPAIRED,) if repaired and problem is None else ()
    return Found(calls, notes, problem)


def _named(name: str, value: object, tools: DeclaredTools) -> Written:
    """Read arguments; a model may write the whole call, or `{"arguments": …}`, where only these belong."""
    if isinstance(value, Mapping):
        own = tools.properties(tools.find(name) or "")
        keys = [key for key in ARGUMENT_KEYS if key in value and key not in own]
        if keys and (len(value) == 1 or any(tools.find(found.name) for found in tools.read(value))):
            return Written(name, value[keys[0]], value)
    return Written(name, value, value)
