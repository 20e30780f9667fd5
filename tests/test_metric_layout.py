"""No two things are counted in one cell, and every reason that a turn can have is known."""

import re
from pathlib import Path

from app import metric_layout as layout
from app.measures import GAP_BOUNDS

ROOT = Path(__file__).resolve().parent.parent


def test_every_cell_of_a_request_has_one_meaning():
    singles = [*range(layout.STATUS, layout.STATUS + 4), *range(layout.TOKEN, layout.TOKEN + 4),
               *range(layout.RETRY, layout.RETRY + 5), layout.COST, layout.CANCELLED]
    histograms = [cell for buckets in (layout.DURATION, layout.UPSTREAM, layout.TTFT, layout.GAP)
                  for cell in range(buckets.begin, buckets.end + 1)]
    assert sorted(singles + histograms) == list(range(layout.REQUEST_CELLS))


def test_every_cell_of_an_engine_has_one_meaning():
    cells = [cell for buckets in layout.PART_BUCKETS.values() for cell in range(buckets.begin, buckets.end + 1)]
    assert sorted(cells) == list(range(layout.PART_CELLS))


def test_bounds_rise():
    for bounds in (layout.LONG, layout.FIRST, layout.SHORT, GAP_BOUNDS):
        assert list(bounds) == sorted(set(bounds))


def test_the_reasons_to_ask_again_are_those_of_a_turn():
    turn, retries = ((ROOT / "app" / name).read_text("utf-8") for name in ("turn.py", "retries.py"))
    body = turn[turn.index("def _reason") : turn.index("def _take_dialect")]
    found = set(re.findall(r'return f?"(\w+)', body)) | set(re.findall(r'(?:TOOLS_ALLOWED|UNUSABLE) = "(\w+)', turn + retries))
    assert found == set(layout.RETRIES)
