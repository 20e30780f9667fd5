"""Two gunicorn workers: one scrape tells the sums of both, and what a worker counted outlives it."""

import json
import os
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.maps import MODEL, both_engines, write_map
from tests.scraped import scrape, until, until_counted
from tests.upstream import FakeUpstream, json_answer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="worker processes are found in /proc"),
]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
WHOLE = {
    "id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
}  # fmt: skip
PIECE = {
    "id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
    "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
}  # fmt: skip
LAST = {**PIECE, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}


def ask(gateway, stream=False, model=f"relay/{MODEL}"):
    """One question on a connection of its own, so that either worker may take it."""
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
    return urllib.request.urlopen(urllib.request.Request(f"{gateway.base_url}/chat/completions", body.encode()), timeout=20)


def workers(gateway):
    """The pids of the worker processes."""
    pid = gateway.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def sums(found):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for sample in found.samples
        if sample.name.endswith(("_total", "_count", "_bucket"))
    }  # fmt: skip


def serve(folder, upstream, worker_class):
    content = both_engines(upstream.base_url)
    del content["provider"]["litellm"]  # nothing to load
    config = write_map(folder, content)
    return Gateway(folder, OPENCODE_CONFIG=config, GATEWAY_WORKERS="2", GATEWAY_WORKER_CLASS=worker_class)


@pytest.fixture(params=("gthread", "gevent"))
def worker_class(request):
    if request.param == "gevent":
        pytest.importorskip("gevent", reason="GEVENT IS NOT INSTALLED: the gevent worker is not tested")
    return request.param


def test_one_scrape_tells_the_sums_of_both_and_they_outlive_a_worker(tmp_path, worker_class):
    with FakeUpstream() as upstream, serve(tmp_path, upstream, worker_class) as gateway:
        upstream.reply(json_answer(WHOLE))
        with ThreadPoolExecutor(8) as pool:
            for answer in [pool.submit(ask, gateway) for _ in range(60)]:
                with answer.result() as whole:
                    assert whole.status == 200
        found = until_counted(gateway.url, 60)
        assert found.value("gateway_workers") == 2
        assert found.value("gateway_requests_total", model=f"relay/{MODEL}", status="2xx", stream="false") == 60
        assert found.value("gateway_tokens_total", kind="prompt") == 600
        before, old = sums(found), workers(gateway)
        for _ in range(20):  # whichever worker answers
            assert sums(scrape(gateway.url)) == before

        killed = min(old)
        os.kill(killed, signal.SIGKILL)
        after = until(gateway.url, lambda found: killed not in workers(gateway) and found.value("gateway_workers") == 2)
        assert sums(after) == before
        for _ in range(20):
            ask(gateway).close()
        assert until_counted(gateway.url, 80).value("gateway_tokens_total", kind="completion") == 400

        os.kill(gateway.process.pid, signal.SIGHUP)  # all workers are replaced
        until(gateway.url, lambda found: not (workers(gateway) & old) and found.value("gateway_workers") == 2)
        found = scrape(gateway.url)
        assert found.value("gateway_requests_total") == 80 and found.value("gateway_requests_in_flight") == 0


def test_what_is_in_flight_in_any_worker_and_no_more_when_that_is_killed(tmp_path):
    with FakeUpstream() as upstream, serve(tmp_path, upstream, "gthread") as gateway:
        upstream.reply_sse([PIECE, LAST]).hang_after(1)
        streams = [ask(gateway, stream=True) for _ in range(5)]
        until(gateway.url, lambda found: found.value("gateway_requests_in_flight") == 5)
        old = workers(gateway)
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        until(gateway.url, lambda found: not (workers(gateway) & old) and found.value("gateway_requests_in_flight") == 0)
        for stream in streams:
            stream.close()


def test_a_drain_can_be_watched(tmp_path):
    with FakeUpstream() as upstream, serve(tmp_path, upstream, "gthread") as gateway:
        gate = upstream.reply_sse([PIECE, LAST]).gate_after(1)
        with ask(gateway, stream=True) as stream:
            gateway.process.send_signal(signal.SIGTERM)
            found = until(gateway.url, lambda found: found.value("gateway_workers") == 2)
            assert found.value("gateway_requests_in_flight") == 1
            gate.open()
            assert stream.read().endswith(b"data: [DONE]\n\n")
        assert gateway.process.wait(15) == 0


def test_the_queue_is_told_by_the_worker_with_threads(tmp_path):
    with FakeUpstream() as upstream, serve(tmp_path, upstream, "gthread") as gateway:
        upstream.reply(json_answer(WHOLE))
        for _ in range(3):
            ask(gateway).close()
        found = until_counted(gateway.url, 3)
        assert found.value("gateway_overhead_seconds_count", engine="relay", part="queue") == 3
        assert 0 < found.value("gateway_overhead_seconds_sum", engine="relay", part="queue") < 5
