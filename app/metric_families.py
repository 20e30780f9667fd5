"""What was counted, as Prometheus' metric families: the sums over all workers, with names, help and labels.

Made anew for each scrape, from the cells that metrics.py fills. prometheus_client is loaded with the first of them.
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from app import metric_layout as layout
from app.lifecycle import lifecycle
from app.local_models.states import BUSY, READY
from app.metric_layout import Buckets
from app.metrics import IN_FLIGHT
from app.shared_cells import Key, Region
from app.version import VERSION

if TYPE_CHECKING:
    from app.local_models.keeper_client import Status
    from app.metrics import Metrics

Sums = dict[Key, list[float]]
Rows = Sequence[tuple[Key, list[float]]]

BY_MODEL = ("model", "engine")
BY_STREAM = (*BY_MODEL, "stream")


def add_up(regions: Iterable[Region]) -> Sums:
    """Return each record's cells, added over all regions."""
    sums: Sums = {}
    for region in regions:
        for key, cells in region.read():
            known = sums.get(key)
            sums[key] = cells if known is None else [one + other for one, other in zip(known, cells, strict=True)]
    return sums


def families(metrics: "Metrics", local: Iterable["Status"]) -> Iterator[Metric]:
    """Yield every family, those without a sample too, so that what is asked for is always there."""
    metrics.refresh()
    metrics.set_in_flight(lifecycle.in_flight)
    sums = add_up(metrics.regions)
    rows: dict[str, list[tuple[Key, list[float]]]] = defaultdict(list)
    for key, cells in sorted(sums.items()):
        rows[key[0]].append((key[1:], cells))
    yield from _of_requests(rows[layout.REQUEST])
    yield from _of_answers(rows[layout.REQUEST])
    yield _of_parts(rows[layout.PART])
    yield from _of_records(rows)
    yield from _of_the_server(metrics, local)


def _of_requests(rows: Rows) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "gateway_requests", "Requests that are over, by the class of their status.", labels=(*BY_STREAM, "status")
    )
    cancelled = CounterMetricFamily(
        "gateway_requests_cancelled", "Requests whose client went away before the end.", labels=BY_STREAM
    )
    for key, cells in rows:
        for number, status in enumerate(layout.STATUSES):
            requests.add_metric((*key, status), cells[layout.STATUS + number])
        cancelled.add_metric(key, cells[layout.CANCELLED])
    yield requests
    yield cancelled


def _of_answers(rows: Rows) -> Iterator[Metric]:
    """What only requests for a model have."""
    asked = [(key, cells) for key, cells in rows if key[0] != layout.NONE]
    streamed = [(key[:2], cells) for key, cells in asked if key[2] == "true"]
    tokens = CounterMetricFamily(
        "gateway_tokens",
        "Tokens by kind, as upstreams count them: cached ones are part of the prompt, reasoning of the completion.",
        labels=(*BY_MODEL, "kind"),
    )
    cost = CounterMetricFamily(
        "gateway_cost_dollars", "US dollars, by the prices in opencode.json; nothing where there are none.", labels=BY_MODEL
    )
    retries = CounterMetricFamily(
        "gateway_retries", "Times the upstream was asked once more, by reason.", labels=(*BY_MODEL, "reason")
    )
    for model, cells in _by_model(asked):
        for number, kind in enumerate(layout.TOKENS):
            tokens.add_metric((*model, kind), cells[layout.TOKEN + number])
        cost.add_metric(model, cells[layout.COST])
        for number, reason in enumerate(layout.RETRIES):
            retries.add_metric((*model, reason), cells[layout.RETRY + number])
    yield tokens
    yield cost
    yield retries
    for name, help, labels, buckets, of in (
        ("request_duration", "Seconds from a request to the last byte of its answer.", BY_STREAM, layout.DURATION, asked),
        ("upstream", "Seconds a request waited for its upstream, all its waits together.", BY_STREAM, layout.UPSTREAM, asked),
        ("time_to_first_token", "Seconds until a stream's first chunk left.", BY_MODEL, layout.TTFT, streamed),
        ("inter_token", "Seconds between two writes of a stream that bring something.", BY_MODEL, layout.GAP, streamed),
    ):
        family = HistogramMetricFamily(f"gateway_{name}_seconds", help, labels=labels)
        for key, cells in of:
            _add_histogram(family, key, cells, buckets)
        yield family


def _by_model(rows: Rows) -> Iterator[tuple[Key, list[float]]]:
    """Add streams and whole answers of a model together."""
    sums: Sums = {}
    for key, cells in rows:
        known = sums.get(key[:2])
        sums[key[:2]] = cells if known is None else [one + other for one, other in zip(known, cells, strict=True)]
    yield from sums.items()


def _of_parts(rows: Rows) -> Metric:
    family = HistogramMetricFamily(
        "gateway_overhead_seconds",
        "Seconds of the gateway's own in a request, by part: waiting for a thread, then work, the upstream left out.",
        labels=("engine", "part"),
    )
    for key, cells in rows:
        for part, buckets in layout.PART_BUCKETS.items():
            _add_histogram(family, (*key, part), cells, buckets)
    return family


def _of_records(rows: dict[str, list[tuple[Key, list[float]]]]) -> Iterator[Metric]:
    """Families whose records have one cell."""
    for kind, name, help, labels in (
        (layout.REPAIR, "repairs", "Repairs by rule; mode warn: noted, not made.", ("rule", "model", "mode")),
        (layout.ERROR, "errors", "Errors that ended a request, by their class, those within streams too.",
         (*BY_MODEL, "error")),
        (layout.DROP, "trace_drops", "What was lost: events of long traces, traces and spans that nobody could take in time, "
         "jobs for a database that is too slow, failures of its reads and jobs.", ("what",)),
    ):  # fmt: skip
        family = CounterMetricFamily(f"gateway_{name}", help, labels=labels)
        found = dict(rows[kind])
        if kind == layout.DROP:
            found = {(what,): [0.0] for what in layout.DROPS} | found
        for key, cells in found.items():
            family.add_metric(key, cells[0])
        yield family


def _of_the_server(metrics: "Metrics", local: Iterable["Status"]) -> Iterator[Metric]:
    living = [region for region in metrics.regions if region.writer]
    yield GaugeMetricFamily(
        "gateway_requests_in_flight", "Requests that are being answered now.",
        value=sum(region.cells[IN_FLIGHT] for region in living),
    )  # fmt: skip
    yield GaugeMetricFamily("gateway_workers", "Processes that serve.", value=len(living))
    states = [status.state for status in local]
    yield GaugeMetricFamily(
        "gateway_local_models_loaded", "Local models in memory.", value=sum(state in (READY, BUSY) for state in states)
    )
    yield InfoMetricFamily(
        "gateway_build", "Which gateway this is.", value={"version": VERSION, "python": platform.python_version()}
    )


def _add_histogram(family: HistogramMetricFamily, key: Key, cells: list[float], buckets: Buckets) -> None:
    total, points = 0.0, []
    bounds = (*map(str, buckets.bounds), "+Inf")
    for bound, count in zip(bounds, cells[buckets.begin : buckets.end], strict=True):
        total += count
        points.append((bound, total))
    family.add_metric(key, points, cells[buckets.end])


