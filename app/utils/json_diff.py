"""How one JSON value differs from another, field by field; knows nothing of what they mean. Pure."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

ABSENT = object()
MOST_ITEMS = 2_000  # of a list that are lined up; longer ones are compared place by place


class Change(NamedTuple):
    """One difference. `before` or `after` is ABSENT where there was nothing; `path` is written as `messages[0].content`."""

    path: str
    before: Any
    after: Any


def diff(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Yield the changes that lead from one value to the other, in the order of `before`, then what is new."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in (*before, *(name for name in after if name not in before)):
            here = f"{path}.{name}" if path else str(name)
            if name not in before or name not in after:
                yield Change(here, before.get(name, ABSENT), after.get(name, ABSENT))
            else:
                yield from diff(before[name], after[name], here)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _diff_lists(before, after, path)
    elif type(before) is not type(after) or before != after:
        yield Change(path, before, after)


def _diff_lists(before: list[Any], after: list[Any], path: str) -> Iterator[Change]:
    """Line up what is equal; between, items are compared in pairs, what is left over came or went."""
    for old, new in _stretches(before, after):
        pairs = min(len(old), len(new))
        for one, other in zip(old[:pairs], new[:pairs], strict=True):
            yield from diff(before[one], after[other], f"{path}[{one}]")
        for at in old[pairs:]:
            yield Change(f"{path}[{at}]", before[at], ABSENT)
        for at in new[pairs:]:
            yield Change(f"{path}[{at}]", ABSENT, after[at])


def _stretches(before: list[Any], after: list[Any]) -> Iterator[tuple[range, range]]:
    """Yield the stretches of places where two lists differ."""
    if max(len(before), len(after)) > MOST_ITEMS:
        yield range(len(before)), range(len(after))
        return
    keys = [[json.dumps(item, sort_keys=True, default=str) for item in items] for items in (before, after)]
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if tag != "equal":
            yield range(i1, i2), range(j1, j2)
