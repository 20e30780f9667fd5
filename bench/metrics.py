"""Measures what the metrics cost alone, in this process: counting a request, the laps of a chunk, and their share of a request.

The share is of the cheapest request there is: a whole answer of the mock through Flask, no socket, no upstream.
"""

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.measure import Row, chat_body
from bench.repairs import best, target_of

CHUNKS = 100
LAPS = 5  # of one chunk, besides its write: to and from the wire, engine, repair, the client
NOTE = "in process, fastest"
QUIET = ("GATEWAY_VERBOSE", "GATEWAY_LOCAL_MODELS", "GATEWAY_INSPECTOR")


def measure_metrics(repeats: int = 30) -> Iterator[Row]:
    """Measure counting a whole answer and a stream, the laps of a chunk, a request with and without, and a scrape."""
    whole, stream = (counted(writes, repeats) for writes in (0, CHUNKS))
    yield Row("metrics of a whole answer", repeats, 0, whole * 1000, note=f"{NOTE}, {whole * 1_000_000:.1f} us")
    chunk = (stream - whole) / CHUNKS + laps(repeats)
    yield Row("metrics of a stream", repeats, 0, whole * 1000, chunk * 1_000_000, note=NOTE)
    yield from measure_share(repeats)


def counted(writes: int, repeats: int, batch: int = 50) -> float:
    """Give the seconds that counting one request takes, which wrote so often."""
    from app.measures import ENGINE, FORMAT, PREPARE, REPAIR, UPSTREAM
    from app.metrics import Metrics
    from app.shared_cells import REGION, Region
    from app.trace import Trace

    region = Region(memoryview(bytearray(REGION)))
    settings: Any = SimpleNamespace(cache={"metric labels": frozenset({"bench/m"})})
    metrics = Metrics(region, [region], lambda: settings)
    times = []
    for _ in range(repeats):
        traces = []
        for _ in range(batch):
            trace = Trace("POST", "/v1/chat/completions")
            trace.note("client_request", {"model": "m", "stream": bool(writes)})
            trace.note("resolved", target_of("m"))
            trace.describe(status=200, prompt_tokens=100, completion_tokens=50, cached_tokens=20)
            for part in (PREPARE, ENGINE, UPSTREAM, REPAIR, FORMAT):
                trace.measures.lap(part)
            for _ in range(writes):
                trace.measures.written(silent=False)
            traces.append(trace)
        start = time.perf_counter()
        for trace in traces:
            metrics.finished(trace)
        times.append((time.perf_counter() - start) / batch)
    return min(times)


def laps(repeats: int) -> float:
    """Give the seconds that the laps and the write of one chunk take."""
    from app.measures import ENGINE, Measures

    measures = Measures(time.perf_counter())

    def chunks() -> None:
        for _ in range(CHUNKS):
            for _ in range(LAPS):
                measures.lap(ENGINE)
            measures.written(silent=False)

    return best(chunks, repeats) / CHUNKS


def measure_share(repeats: int) -> Iterator[Row]:
    """Measure requests through Flask, counted and not, in turns; and a scrape of what was counted."""
    with application() as app:
        client = app.test_client()
        bare: tuple = ()
        sinks = (app.extensions["metrics"],)  # neither the log nor the store: their threads would work beside it
        body = json.loads(chat_body("mock", False))

        def ask() -> None:
            assert client.post("/v1/chat/completions", json=body, buffered=True).status_code == 200  # and at its end

        def seconds(batch: int = 20) -> float:
            return best(lambda: [ask() for _ in range(batch)], 1) / batch

        seconds()
        found: dict[tuple, list[float]] = {bare: [], sinks: []}
        for _ in range(repeats):
            for chosen, times in found.items():
                app.extensions["trace_sinks"] = chosen
                times.append(seconds())
        without, counted_too = min(found[bare]), min(found[sinks])
        yield Row("mock, in process, not counted", repeats, 0, without * 1000, note=NOTE)
        share = f"{NOTE}, x {counted_too / without:.3f}"
        yield Row("mock, in process, counted", repeats, 0, counted_too * 1000, note=share)
        yield Row("GET /metrics, in process", repeats, 0, best(scraping(client), repeats) * 1000, note=NOTE)


def scraping(client: Any) -> Callable[[], object]:
    return lambda: client.get("/metrics").data


@contextlib.contextmanager
def application() -> Iterator[Any]:
    """Make the gateway with the mock alone, quiet, its data in a folder that goes away."""
    from app import create_app
    from app.config import Settings

    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.redirect_stdout(io.StringIO()):
        environ = {"GATEWAY_DATA_DIR": str(Path(folder) / "var")} | dict.fromkeys(QUIET, "0") | {"GATEWAY_TRACE": "off"}
        providers = {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}
        app = create_app(Settings.load(environ, dotenv=False, opencode={"provider": providers}))
        try:
            yield app
        finally:
            app.extensions["store"].close()
