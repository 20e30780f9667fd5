"""The life of a loaded model, decided from data alone: which state it is in, which one makes room, which one is idle."""

from collections.abc import Iterable
from dataclasses import dataclass

DISCOVERED, LOADING, READY, BUSY, UNLOADING, FAILED = "discovered", "loading", "ready", "busy", "unloading", "failed"
HELD = (LOADING, READY, BUSY, UNLOADING)  # states in which a process holds memory


@dataclass
class Life:
    """One model as the keeper knows it. Times are monotonic seconds, memory is in bytes."""

    name: str
    size: int
    phase: str = LOADING  # LOADING, READY, UNLOADING or FAILED; BUSY is READY with leases
    leases: int = 0
    used: float = 0.0
    loaded: float | None = None
    memory: int = 0
    reason: str | None = None
    has_room: bool = False  # while LOADING: whether its size is set aside for it yet
    wanted: int = 0  # requests that wait for it

    @property
    def state(self) -> str:
        return BUSY if self.phase == READY and self.leases else self.phase

    @property
    def held(self) -> int:
        """Bytes that the model takes, or will take once it is loaded; none while it waits for others to make room."""
        waits = self.phase == LOADING and not self.has_room
        return max(self.memory, self.size) if self.phase in HELD and not waits else 0

    @property
    def unused(self) -> bool:
        """Loaded, and nobody asks it or waits for it."""
        return self.state == READY and not self.wanted


def make_room(lives: Iterable[Life], needed: int, budget: int) -> list[Life] | None:
    """Choose the models to unload so that `needed` bytes fit the budget, least recently used first.

    Busy ones stay, those that are loading, and those whose turn has come. None: it does not fit now, however many leave.
    """
    known = list(lives)
    free = budget - sum(life.held for life in known)
    chosen: list[Life] = []
    idle = sorted((life for life in known if life.unused), key=lambda life: life.used)
    for life in idle:
        if free >= needed:
            break
        chosen.append(life)
        free += life.held
    return chosen if free >= needed else None


def is_out_of_hand(life: Life, budget: int) -> bool:
    """Tell whether a model takes far more than was to be expected, and more than all together may (a hostile template)."""
    return life.held > max(budget, 2 * life.size)


def is_idle(life: Life, now: float, limit: float) -> bool:
    """Tell whether a model was not used for `limit` seconds (0: never unload)."""
    return limit > 0 and life.unused and now - life.used >= limit
