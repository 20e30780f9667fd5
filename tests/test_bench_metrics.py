"""The bench of the metrics completes, with tiny numbers; what they cost, no test asks."""

from bench.metrics import application, measure_metrics
from tests.scraped import Scraped


def test_each_part_gives_a_row():
    rows = list(measure_metrics(1))
    assert len(rows) == 5
    assert all(row.cpu_ms and row.requests and not row.bad for row in rows)
    assert rows[1].chunk_us and " x " in rows[3].note


def test_the_requests_that_are_compared_are_answered_and_counted():
    with application() as app:
        client = app.test_client()
        body = {"model": "mock", "messages": [{"role": "user", "content": "hello"}]}
        assert client.post("/v1/chat/completions", json=body, buffered=True).json["choices"]
        counted = Scraped(client.get("/metrics").text)
        assert counted.value("gateway_requests_total", model="m/mock", status="2xx") == 1
