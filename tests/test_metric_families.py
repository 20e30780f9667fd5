"""From cells to families: sums over regions, buckets that grow, label values that cannot break a line."""

from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from app import metric_layout as layout
from app.local_models.states import BUSY, LOADING, READY
from app.metric_families import add_up, families
from app.metrics import Metrics
from app.shared_cells import REGION, Region
from tests.conftest import settings_for
from tests.scraped import Scraped

SETTINGS = settings_for({})


def regions(number=2):
    return [Region(memoryview(bytearray(REGION))) for _ in range(number)]


def scraped(all_regions, states=()):
    metrics = Metrics(all_regions[0], all_regions, lambda: SETTINGS)
    local = [SimpleNamespace(state=state) for state in states]
    return Scraped(generate_latest(SimpleNamespace(collect=lambda: families(metrics, local))).decode())


def add(region, key, size, **cells):
    at = region.place(key, size)
    for offset, value in cells.items():
        region.cells[at + int(offset[1:])] += value


def test_regions_are_added_up_cell_by_cell():
    first, second = regions()
    add(first, ("a", "b"), 2, c0=1, c1=2)
    add(second, ("a", "b"), 2, c1=5)
    add(second, ("c",), 1, c0=1)
    assert add_up([first, second]) == {("a", "b"): [1, 7], ("c",): [1]}


def test_buckets_hold_all_that_is_below_their_bound():
    both = regions()
    key = ("request", "up/m", "relay", "true")
    gap = layout.GAP
    for region, bucket, count in ((both[0], 0, 3), (both[1], 2, 4), (both[1], len(gap.bounds), 1)):
        add(region, key, layout.REQUEST_CELLS, **{f"c{gap.begin + bucket}": count, f"c{gap.end}": 0.5})
    found = scraped(both)
    values = [found.value("gateway_inter_token_seconds_bucket", le=str(bound)) for bound in gap.bounds]
    assert values[:3] == [3, 3, 7] and values == sorted(values) and values[-1] == 7
    assert found.value("gateway_inter_token_seconds_bucket", le="+Inf") == 8
    assert found.value("gateway_inter_token_seconds_count") == 8
    assert found.value("gateway_inter_token_seconds_sum") == 1.5


def test_streams_and_whole_answers_of_a_model_share_tokens_and_cost():
    only = regions(1)
    for streamed in ("true", "false"):
        key = ("request", "up/m", "relay", streamed)
        add(only[0], key, layout.REQUEST_CELLS, **{f"c{layout.TOKEN}": 5, f"c{layout.COST}": 0.25, f"c{layout.STATUS}": 1})
    found = scraped(only)
    assert found.value("gateway_tokens_total", model="up/m", kind="prompt") == 10
    assert found.value("gateway_cost_dollars_total", model="up/m") == 0.5
    assert found.value("gateway_requests_total", model="up/m", stream="true", status="2xx") == 1
    assert found.text.count("gateway_time_to_first_token_seconds_count{") == 2  # of the stream, and of `other`


def test_only_living_workers_have_requests_in_flight():
    both = regions(3)
    both[0].enter()
    both[1].enter()
    both[1].cells[2] = 4
    both[2].cells[2] = 9  # left behind
    found = scraped(both)
    assert found.value("gateway_requests_in_flight") >= 4 and found.value("gateway_requests_in_flight") < 9
    assert found.value("gateway_workers") == 2


@pytest.mark.parametrize(("states", "loaded"), (((), 0), ((READY, BUSY, LOADING), 2)))
def test_local_models_that_are_in_memory(states, loaded):
    assert scraped(regions(1), states).value("gateway_local_models_loaded") == loaded


@pytest.mark.parametrize("name", ('a"b', "a\\b", "a\nb", "모델/a", "a{b}", "\u2028"))
def test_any_name_of_a_map_makes_a_sound_line(name):
    only = regions(1)
    add(only[0], ("repair", "tool.id", name, "fix"), 1, c0=2)
    assert scraped(only).value("gateway_repairs_total", model=name) == 2
