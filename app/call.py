"""What an engine needs besides the request: the trace, the cancellation and the time limits of one upstream call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from app.cancel import CancelToken

if TYPE_CHECKING:
    from app.config import Settings
    from app.trace import Trace


class Timeouts(NamedTuple):
    """Seconds: to connect, until the first byte of the answer's body, between two bytes after that."""

    connect: float
    first_byte: float
    idle: float


@dataclass
class Lessons:
    """What upstreams taught by refusing: the dialect and the parameters by address and model, fields by URL."""

    dialects: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, set[str]] = field(default_factory=dict)
    fields: dict[str, frozenset[str]] = field(default_factory=dict)


LESSONS = Lessons()  # for the life of the process


@dataclass
class UpstreamCall:
    """One request's way to its upstream. Belongs to one thread; only `cancel` is touched by others."""

    trace: "Trace"
    cancel: CancelToken = field(default_factory=CancelToken)
    timeouts: Timeouts = Timeouts(10, 300, 300)
    keep_alive: float = 15  # seconds of silence after which an engine yields an empty batch
    last_attempt: bool = False  # an answer that cannot be used is not asked for once more
    saw_done: bool = True  # False: a stream's connection ended without [DONE]
    kept_connections: int = 1000  # kept open per upstream when they are idle
    # Engines that read a protocol of their own say here what they tolerated: rule id, place, before, after.
    note: Callable[[str, str, object, object], None] = lambda *_: None
    instance: str = ""  # sent upstream, so that a gateway recognises its own request
    wire: Callable[..., Any] | None = None  # what stands in for the network (see engines/wire.py): a recorded answer
    lessons: Lessons = field(default_factory=lambda: LESSONS)

    @classmethod
    def from_settings(cls, settings: "Settings", trace: "Trace", cancel: CancelToken, instance: str) -> "UpstreamCall":
        timeouts = Timeouts(settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout)
        return cls(
            trace,
            cancel,
            timeouts,
            settings.keep_alive,
            kept_connections=settings.upstream_connections,
            instance=instance,
        )
