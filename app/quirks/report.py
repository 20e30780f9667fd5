"""What was repaired in one request: knows rules, places and counts; knows neither the log nor HTTP headers' names."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

MAX_ENTRIES = 100

Moment = Callable[[], tuple[float, int]]  # seconds since the request began, events that the upstream has sent


def no_moment() -> tuple[float, int]:
    """Return what is known where nobody measures."""
    return 0.0, 0


class Note(Protocol):
    """A note bound to one rule: `note(where, before, after)`."""

    def __call__(self, where: str, before: object, after: object) -> None: ...


class Entry(NamedTuple):
    """One repair: `before` and `after` are references, formatted only when somebody reads them.

    `at` is in seconds since the request began, `raw` the number of the upstream's event that was read last.
    """

    rule: str
    where: str
    before: object
    after: object
    mode: str
    at: float = 0.0
    raw: int = 0


class Report:
    """The repairs of one request; counts are complete, entries stop at the first hundred.

    `counts` are repairs made, `warnings` repairs that would have been made (rules set to `warn`),
    `dropped` names parameters that were not sent, `renames` maps a tool name sent upstream to the client's own.
    """

    __slots__ = ("counts", "dropped", "entries", "moment", "renames", "warnings")

    def __init__(self, moment: Moment = no_moment) -> None:
        self.moment = moment
        self.counts: dict[str, int] = {}
        self.warnings: dict[str, int] = {}
        self.entries: list[Entry] = []
        self.dropped: list[str] = []
        self.renames: dict[str, str] = {}

    def note(self, rule_id: str, where: str, before: object, after: object, *, mode: str = "fix") -> None:
        """Count one repair of `rule_id` at `where`; keep the first hundred with what was there before and after."""
        counts = self.counts if mode == "fix" else self.warnings
        counts[rule_id] = counts.get(rule_id, 0) + 1
        if len(self.entries) < MAX_ENTRIES:
            self.entries.append(Entry(rule_id, where, before, after, mode, *self.moment()))

    def restart(self) -> None:
        """Forget everything: the turn is asked once more, and only what was done for the last attempt is told."""
        self.__init__(self.moment)  # type: ignore[misc]

    def note_for(self, rule_id: str, mode: str = "fix") -> Note:
        """Return `note` bound to one rule."""
        return partial(self.note, rule_id, mode=mode)

    def header(self) -> str:
        """Format the counts as `rule=count,rule=count`; what only warned is written `rule=count;warn`."""
        fixed = [f"{rule}={count}" for rule, count in self.counts.items()]
        warned = [f"{rule}={count};warn" for rule, count in self.warnings.items()]
        return ",".join(fixed + warned)

    def dropped_header(self) -> str:
        """Format the names of the parameters that were not sent upstream."""
        return ",".join(dict.fromkeys(self.dropped))  # a second attempt drops them again
