"""Measures the repairs alone, in this process: what `prepare` costs an agent's request and `repair_stream` a chunk."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from bench.fake_upstream import call_events, piece_events, word_events
from bench.gateway import GEMINI, PLAIN
from bench.measure import Row, agent_body

CHUNKS = 500


def target_of(model: str) -> Any:
    """A target that carries what rules look at."""
    return SimpleNamespace(
        requested=model, provider_id="bench", model_key=model, model=model, litellm_model=f"openai/{model}",
        engine_name="relay", base_url="http://127.0.0.1:1/v1", api_key=None, key_source="none", headers={}, options={},
        body_options={}, limit={}, cost={}, modalities={}, entry={}, openai_dialect=True,
    )  # fmt: skip


def best(run: Callable[[], object], repeats: int = 30) -> float:
    """Give the seconds of the fastest run."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def parsed(events: list[bytes]) -> list[dict]:
    lines = b"".join(events).decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def batches(chunks: list[dict], size: int) -> Iterator[list[dict]]:
    """Give fresh chunks in reads of `size`: repairs may write into what they are given."""
    fresh = json.loads(json.dumps(chunks))
    return iter([fresh[n : n + size] for n in range(0, len(fresh), size)])


def measure_repairs(repeats: int = 30) -> Iterator[Row]:
    """Measure each family: a 60 KB request with 25 tools, streams of words and of calls."""
    for model in (PLAIN, GEMINI):
        target, body = target_of(model), json.loads(agent_body(model, True))
        seconds = best(partial(prepare, body, target), repeats)
        yield Row(f"repairs of a 60 KB request, {model}", repeats, 0, seconds * 1000, note="in process, fastest")
        streams = (
            ("words", word_events(CHUNKS)),
            ("one call in pieces", piece_events(CHUNKS)),
            ("whole calls, one a chunk", call_events(CHUNKS // 10)),
        )
        for name, events in streams:
            yield stream_row(f"repairs of a stream of {name}, {model}", parsed(events), body, target, repeats)


def prepare(body: dict, target: Any) -> dict:
    """Repair one request with a report of its own."""
    from app import quirks

    return quirks.prepare(body, target, quirks.Report())


def stream_row(name: str, chunks: list[dict], body: dict, target: Any, repeats: int) -> Row:
    """Measure one stream, what the copying costs taken off."""
    from app import quirks

    times, call = [], SimpleNamespace(saw_done=True, cancel=None, trace=None)
    for _ in range(repeats):
        ready = batches(chunks, 20)
        start = time.perf_counter()
        for _batch in quirks.repair_stream(ready, body, target, quirks.Report(), cast(Any, call)):
            pass
        times.append(time.perf_counter() - start)
    return Row(name, repeats, 0, chunk_us=min(times) / len(chunks) * 1_000_000, note="in process, fastest")
