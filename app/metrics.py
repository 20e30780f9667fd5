"""Counts each request once, when it is over: a few additions into memory that all workers of the server can read.

What is counted stands in metric_layout.py, how it is told in metric_families.py. A label is a name of the model map or one
of our own words; what a client or an upstream wrote never becomes one.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, g

from app import metric_layout as layout
from app.errors import GatewayError, log
from app.lifecycle import lifecycle
from app.local_models.targets import PROVIDER as LOCAL
from app.measures import UPSTREAM, take_wait
from app.metric_layout import NONE, OTHER, Buckets
from app.quirks.rule import FIX, WARN
from app.shared_cells import GAUGES, Key, Region, claim
from app.telemetry import Telemetry
from app.utils.cost import cost_of
from app.utils.model_map import routes_of
from app.utils.model_resolver import ANY

if TYPE_CHECKING:
    from app.config import Settings
    from app.trace import Trace

IN_FLIGHT, WATCHED = GAUGES, GAUGES + 1
WATCH = 3.0  # seconds after its last sign that a page is taken to be still open
TOKEN_FACTS = tuple(f"{kind}_tokens" for kind in layout.TOKENS)


class Metrics:
    """A sink of traces that only counts. `regions` are those of all workers, this process's own among them."""

    live = False

    def __init__(self, region: Region, regions: Sequence[Region], settings: Callable[[], "Settings"]) -> None:
        self.region, self.regions = region, regions
        self._cells, self._settings = region.cells, settings
        self._lock = threading.Lock()
        self._drops: list[list[Any]] = []  # what is dropped, who tells how many by now, how many are counted
        for stream in ("false", "true"):  # there even when the region is full
            for model in (NONE, OTHER):
                region.place((layout.REQUEST, model, NONE, stream), layout.REQUEST_CELLS)

    def note(self, trace: "Trace", station: str, value: Any) -> None: ...
    def raw(self, trace: "Trace", events: list[Any]) -> None: ...
    def emitted(self, trace: "Trace", events: list[Any]) -> None: ...

    def finished(self, trace: "Trace") -> None:
        """Count a request that is over."""
        try:
            with self._lock:
                self._count(trace)
                self._count_drops(trace.dropped_events)
        except Exception as error:  # the rim: a bug in counting must not end what else is done with the trace
            log.error("bug in the metrics", exc_info=error)

    def set_in_flight(self, number: int) -> None:
        self._cells[IN_FLIGHT] = number

    def watch(self) -> None:
        """Say that somebody looks at running requests now; it holds for WATCH seconds, for all workers."""
        self._cells[WATCHED] = time.time()

    def is_watched(self) -> bool:
        """Tell whether any worker was told so lately."""
        since = time.time() - WATCH
        return any(region.cells[WATCHED] > since for region in self.regions)

    def watch_drops(self, what: str, tell: Callable[[], int]) -> None:
        """Count as `what` (one of layout.DROPS) what `tell` says is lost, since its process began."""
        self._drops.append([what, tell, 0])

    def refresh(self) -> None:
        """Count what was dropped since the last request was over."""
        with self._lock:
            self._count_drops(0)

    # --- inside; the lock is held ----------------------------------------------------------------------------------

    def _count(self, trace: "Trace") -> None:
        target, measures = trace.target, trace.measures
        model, engine = label_of(trace, self._settings()), NONE if target is None else target.engine_name
        at = self._request(model, engine, "true" if trace.facts.get("stream") else "false")
        cells = self._cells
        status = trace.facts.get("status")
        hundred = status // 100 - layout.FIRST_STATUS if isinstance(status, int) else -1
        if 0 <= hundred < len(layout.STATUSES):
            cells[at + layout.STATUS + hundred] += 1
        if measures.cancelled or measures.error == "ClientGone":
            cells[at + layout.CANCELLED] += 1
        elif measures.error is not None:
            self._add((layout.ERROR, model, engine, error_label(measures.error)))
        if target is not None:
            self._count_answer(trace, at, cost_of(target.cost, trace.facts))
            self._count_parts(trace, engine)
            self._count_repairs(trace.facts.get("repairs"), model)

    def _request(self, model: str, engine: str, stream: str) -> int:
        """Return where a request is counted; the map may be read again and again, so there may be no room for its name."""
        for key in ((layout.REQUEST, model, engine, stream), (layout.REQUEST, OTHER, NONE, stream)):
            if (at := self.region.place(key, layout.REQUEST_CELLS)) is not None:
                return at
        raise MemoryError("no room for metrics")

    def _count_answer(self, trace: "Trace", at: int, cost: float | None) -> None:
        cells, measures = self._cells, trace.measures
        for number, name in enumerate(TOKEN_FACTS):
            tokens = trace.facts.get(name)
            if isinstance(tokens, int) and tokens > 0:
                cells[at + layout.TOKEN + number] += tokens
        if cost:
            cells[at + layout.COST] += cost
        for number, reason in enumerate(layout.RETRIES if measures.retries else ()):
            cells[at + layout.RETRY + number] += measures.retries.count(reason)
        self._observe(at, layout.DURATION, measures.elapsed)
        self._observe(at, layout.UPSTREAM, measures.seconds[UPSTREAM])
        if trace.streams and measures.first is not None:
            self._observe(at, layout.TTFT, measures.first)
        if (gaps := measures.gaps()) is not None:
            counts, seconds = gaps
            for place, count in enumerate(counts, at + layout.GAP.begin):
                if count:
                    cells[place] += count
            cells[at + layout.GAP.end] += seconds

    def _count_parts(self, trace: "Trace", engine: str) -> None:
        at = self.region.place((layout.PART, engine), layout.PART_CELLS)
        if at is None:
            return
        for name, part in layout.PARTS.items():
            seconds = trace.measures.queued if part is None else trace.measures.seconds[part]
            if seconds is not None and (seconds > 0 or part is None):
                self._observe(at, layout.PART_BUCKETS[name], seconds)

    def _count_repairs(self, report: Any, model: str) -> None:
        for mode, name in ((FIX, "counts"), (WARN, "warnings")):
            for rule, number in (getattr(report, name, None) or {}).items():
                self._add((layout.REPAIR, rule, model, mode), number)

    def _count_drops(self, events: int) -> None:
        if events:
            self._add((layout.DROP, "events"), events)
        for drop in self._drops:
            what, tell, counted = drop
            if (now := tell()) != counted:
                self._add((layout.DROP, what), max(0, now - counted))
                drop[2] = now

    def _observe(self, at: int, buckets: Buckets, seconds: float) -> None:
        self._cells[at + buckets.begin + bisect_left(buckets.bounds, seconds)] += 1
        self._cells[at + buckets.end] += seconds

    def _add(self, key: Key, number: float = 1) -> None:
        at = self.region.place(key, 1)
        if at is not None:
            self._cells[at] += number


def label_of(trace: "Trace", settings: "Settings") -> str:
    """Return the name under which a request is counted: one of the map or of this machine, OTHER, or NONE for no model."""
    target = trace.target
    if target is None:
        return OTHER if trace.facts.get("model") else NONE
    known: frozenset[str] | None = settings.cache.get("metric labels")
    if known is None:
        names = frozenset(f"{route.provider_id}/{route.key}" for route in routes_of(settings))
        known = settings.cache["metric labels"] = names
    for name in (f"{target.provider_id}/{target.model_key}", f"{target.provider_id}/{ANY}"):
        if name in known:
            return name
    return f"{LOCAL}/{target.model_key}" if target.provider_id == LOCAL else OTHER


def error_label(name: str) -> str:
    """Return the class of an error of our own tree, OTHER for a bug."""
    return name if name in _names_below(GatewayError) else OTHER


def _names_below(error: type) -> set[str]:
    return {error.__name__}.union(*map(_names_below, error.__subclasses__()))


def init_app(app: Flask) -> None:
    """Count what `app` serves, as `app.extensions["metrics"]`; call it after all other sinks are there."""
    region, regions = claim()
    store = app.extensions["settings_store"]
    metrics = Metrics(region, regions, lambda: store.current)
    database = app.extensions["store"]
    metrics.watch_drops("jobs", lambda: database.dropped)
    metrics.watch_drops("failures", lambda: database.failures)
    for sink in app.extensions["trace_sinks"]:
        if hasattr(sink, "is_watched"):
            sink.is_watched = metrics.is_watched
        if hasattr(sink, "dropped"):
            metrics.watch_drops("spans" if isinstance(sink, Telemetry) else "traces", partial(getattr, sink, "dropped"))
        if hasattr(sink, "on_loss"):  # it learns of losses when the requests are long over
            sink.on_loss = metrics.refresh
    app.extensions["metrics"] = metrics
    app.extensions["trace_sinks"] = (*app.extensions["trace_sinks"], metrics)
    lifecycle.watch = metrics.set_in_flight

    @app.before_request
    def take_queued() -> None:
        if "trace" in g:
            g.trace.measures.queued = take_wait()
