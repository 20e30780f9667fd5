"""Counting a request: once, when it is over, under a name of the map; whatever its trace holds, nothing is raised."""

import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import metric_layout as layout
from app.errors import ConfigError, UpstreamTimeout
from app.measures import PREPARE
from app.metrics import WATCH, Metrics, error_label, label_of
from app.quirks.report import Report
from app.shared_cells import REGION, Region
from app.trace import Trace
from app.utils.model_resolver import resolve_model
from tests.conftest import settings_for

PROVIDERS = {
    "up": {"options": {"baseURL": "http://127.0.0.1:1/v1"}, "models": {"m": {"cost": {"input": 1}}, "n": {}}},
    "any": {"options": {"baseURL": "http://127.0.0.1:1/v1"}, "models": {"*": {}}},
}
SETTINGS = settings_for(PROVIDERS)


def counting(size=REGION, settings=SETTINGS):
    region = Region(memoryview(bytearray(size)))
    return Metrics(region, [region], lambda: settings)


def trace(name="m", **facts):
    made = Trace("POST", "/v1/chat/completions")
    made.note("client_request", {"model": name, "stream": facts.pop("stream", False)})
    if name is not None:
        made.note("resolved", resolve_model(name, SETTINGS))
    made.describe(**{"status": 200, **facts})
    return made


def cells(metrics, *key):
    return dict(metrics.region.read()).get(key)


def test_a_request_is_counted_in_its_own_cells():
    metrics, asked = counting(), trace(prompt_tokens=1_000_000, completion_tokens=3)
    asked.measures.retries += ["refused", "a reason of tomorrow"]
    asked.measures.lap(PREPARE)
    metrics.finished(asked)
    found = cells(metrics, "request", "up/m", "litellm", "false")
    assert found[layout.STATUS] == 1 and sum(found[layout.STATUS : layout.TOKEN]) == 1
    assert found[layout.TOKEN : layout.RETRY] == [1_000_000, 3, 0, 0]
    assert found[layout.RETRY + layout.RETRIES.index("refused")] == 1
    assert found[layout.COST] == pytest.approx(1)
    parts = cells(metrics, "part", "litellm")
    assert parts[layout.PART_BUCKETS["prepare"].end] > 0 and parts[layout.PART_BUCKETS["queue"].end] == 0


def test_the_wait_for_a_thread_is_counted_also_where_it_was_none():
    metrics, asked = counting(), trace()
    asked.measures.queued = 0.0
    metrics.finished(asked)
    queue = layout.PART_BUCKETS["queue"]
    assert sum(cells(metrics, "part", "litellm")[queue.begin : queue.end]) == 1


@pytest.mark.parametrize(
    ("name", "label"),
    (("m", "up/m"), ("up/n", "up/n"), ("any/whatever-a-client-says", "any/*"), (None, "none")),
)
def test_names_of_the_map_are_labels(name, label):
    assert label_of(trace(name), SETTINGS) == label


def test_a_name_that_leads_nowhere_is_other_and_a_local_model_has_its_own():
    lost = trace(None)
    lost.note("client_request", {"model": "x" * 100})
    assert label_of(lost, SETTINGS) == "other"
    here = SimpleNamespace(provider_id="local", model_key="tiny")
    assert label_of(SimpleNamespace(target=here, facts={}), SETTINGS) == "local/tiny"
    gone = SimpleNamespace(provider_id="removed", model_key="m")  # the map was read again meanwhile
    assert label_of(SimpleNamespace(target=gone, facts={}), SETTINGS) == "other"


@pytest.mark.parametrize(("name", "label"), (("UpstreamTimeout", "UpstreamTimeout"), ("TurnUnusable", "TurnUnusable"),
                                             ("GatewayError", "GatewayError"), ("KeyError", "other"), ("", "other")))
def test_only_our_own_errors_have_names(name, label):
    import app.turn  # noqa: F401  where TurnUnusable is loaded

    assert error_label(name) == label


def test_errors_cancellations_and_repairs():
    metrics, report = counting(), Report()
    report.note("tool.id", "x", None, "y")
    report.note("usage.numbers", "x", None, 1, mode="warn")
    for error, cancelled in ((UpstreamTimeout("x"), False), (ConfigError("x"), True), (None, True)):
        asked = trace(stream=True)
        asked.note("repairs", report)
        if error:
            asked.note("error", error)
        asked.measures.cancelled = cancelled
        metrics.finished(asked)
    assert cells(metrics, "request", "up/m", "litellm", "true")[layout.CANCELLED] == 2
    assert cells(metrics, "error", "up/m", "litellm", "UpstreamTimeout") == [1]
    assert cells(metrics, "error", "up/m", "litellm", "ConfigError") is None
    assert cells(metrics, "repair", "tool.id", "up/m", "fix") == [3]
    assert cells(metrics, "repair", "usage.numbers", "up/m", "warn") == [3]


def test_what_a_store_loses_is_counted_from_when_it_was_seen_and_beginning_anew_takes_nothing_away():
    metrics, store = counting(), SimpleNamespace(dropped=2, failures=0)
    metrics.watch_drops("jobs", lambda: store.dropped)
    metrics.watch_drops("failures", lambda: store.failures)
    metrics.refresh()
    assert cells(metrics, "drop", "jobs") == [2]
    store.dropped, store.failures = 0, 3  # a new process
    metrics.refresh()
    store.dropped = 1
    metrics.refresh()
    assert cells(metrics, "drop", "jobs") == [3] and cells(metrics, "drop", "failures") == [3]


def test_that_somebody_looks_is_known_to_all_workers_for_a_while(monkeypatch):
    regions = [Region(memoryview(bytearray(REGION))) for _ in range(2)]
    one, other = (Metrics(region, regions, lambda: SETTINGS) for region in regions)
    assert not other.is_watched()
    one.watch()
    assert one.is_watched() and other.is_watched()
    now = time.time()
    monkeypatch.setattr("app.metrics.time.time", lambda: now + WATCH + 1)
    assert not one.is_watched() and not other.is_watched()


def test_when_there_is_no_room_the_rest_is_counted_as_other():
    metrics = counting(8192)
    for number in range(40):
        asked = trace("m")
        asked.target = SimpleNamespace(provider_id="local", model_key=str(number), engine_name="gguf", cost={})
        metrics.finished(asked)
    found = dict(metrics.region.read())
    assert sum(values[layout.STATUS] for key, values in found.items() if key[0] == "request") == 40
    assert cells(metrics, "request", "other", "none", "false")[layout.STATUS] > 30


def test_threads_lose_nothing():
    metrics = counting()

    def work():
        for _ in range(300):
            metrics.finished(trace(prompt_tokens=1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = cells(metrics, "request", "up/m", "litellm", "false")
    assert found[layout.STATUS] == found[layout.TOKEN] == 1_800


junk = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5) | st.just([None])


@given(st.fixed_dictionaries({}, optional={name: junk for name in (
    "status", "stream", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "repairs", "model")}))
def test_whatever_an_upstream_says_counting_goes_on(facts):
    metrics, asked = counting(65536), trace()
    asked.describe(**facts)
    metrics.finished(asked)
    found = [values for key, values in metrics.region.read() if key[:2] == ("request", "up/m")]
    assert len(found) == 1 and all(value >= 0 for value in found[0])
    assert sum(found[0][layout.DURATION.begin : layout.DURATION.end]) == 1
