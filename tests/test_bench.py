"""The bench completes, with tiny numbers; how fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import PARTS, floor_of, read_arguments
from bench.fake_upstream import Answers
from bench.load import complaint, percentile
from bench.measure import Row, Sizes, agent_body
from bench.table import format_table

ROOT = Path(__file__).parent.parent


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU time is read from /proc")
def test_it_completes_and_every_answer_is_good(tmp_path):
    arguments = ["--scale", "0.004", "--slow", "2", "--starts", "1", "--only", "floor,own,relay,litellm,start,repairs"]
    command = [sys.executable, "-m", "bench", *arguments, "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    names = {row["name"].split(",")[0] for row in rows}
    assert {"bare WSGI", "/health", "mock", "relay", "litellm", "start-up"} <= names
    assert all(row["requests"] and not row["bad"] for row in rows)


def test_the_parts_are_all_on_by_default():
    assert read_arguments([]).only.split(",") == list(PARTS)


def test_an_agents_request_has_its_size_and_its_tools():
    body = agent_body("m", True)
    assert 60_000 <= len(body) < 64_000
    assert len(json.loads(body)["tools"]) == 25


@pytest.mark.parametrize(("kind", "writes"), (("burst", 1), ("paced", 4), ("slow", 4), ("calls", 1)))
def test_the_fake_writes_as_its_path_says(kind, writes):
    answers = Answers()
    stream = answers.stream(kind, 3)
    assert len(stream) == writes
    assert b"".join(stream).count(b"data: {") == 5
    assert b"".join(stream).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert answers.whole(3).endswith(b'"total_tokens": 1500}}')


@pytest.mark.parametrize(
    ("answer", "stream", "bad"),
    (
        (b"HTTP/1.1 200 OK\r\n\r\n{}", False, False),
        (b"HTTP/1.1 500 No\r\n\r\n{}", False, True),
        (b"HTTP/1.1 200 OK\r\n\r\ndata: {}\n\ndata: [DONE]\n\n\r\n0\r\n\r\n", True, False),
        (b"HTTP/1.1 200 OK\r\n\r\ndata: {}\n\n\r\n0\r\n\r\n", True, True),
        (b'HTTP/1.1 200 OK\r\n\r\ndata: {"error":1}\n\ndata: [DONE]\n\n', True, True),
    ),
)
def test_the_load_tool_knows_a_bad_answer(answer, stream, bad):
    assert (complaint(answer, stream) is not None) == bad


def test_percentiles_are_in_ms():
    assert percentile([], 0.5) == 0
    assert percentile([n / 1000 for n in range(100)], 0.99) == pytest.approx(99)


def test_the_table_shows_ratios_to_the_floor():
    rows = [Row("bare WSGI, whole answer", 10, 0, 0.2), Row("relay", 10, 1, 0.6, 12.34)]
    lines = format_table(rows, floor_of(rows)).splitlines()
    assert len(lines) == 4
    assert [cell.strip() for cell in lines[3].split("|")][1:7] == ["relay", "10", "1", "0.60", "3.0", "12.3"]
    assert len({len(line) for line in lines}) == 1


def test_scaling_keeps_the_number_of_slow_streams():
    assert Sizes(slow=7).scaled(0.5) == Sizes(500, 75, 30, 20, 7)
