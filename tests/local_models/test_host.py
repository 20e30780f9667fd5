"""What a host is started with: the order becomes llama.cpp's parameters; several answers share one context."""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.local_models import host
from app.local_models.host_process import HostProcess
from tests.local_models.models import model_folder, order  # noqa: F401 (a fixture)


@pytest.fixture
def running(model_folder, tmp_path):  # noqa: F811
    process = HostProcess(order(model_folder / "loop.gguf", context=512, slots=3), tmp_path / "host.log")
    assert process.wait_ready() is None
    yield process
    process.end()


def post(process, path, **body):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {process.key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{process.port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_one_answer_may_use_the_whole_context(running):
    """512 tokens for three slots: a third of them would be 170."""
    reply = post(running, "/v1/completions", prompt="one", max_tokens=400)
    assert reply["usage"]["completion_tokens"] == 400


def test_answers_run_beside_each_other(running):
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda _: post(running, "/v1/completions", prompt="one", max_tokens=60), range(3)))
    assert [reply["usage"]["completion_tokens"] for reply in replies] == [60] * 3


def test_no_page_is_served_and_no_other_site_may_ask(running):
    request = urllib.request.Request(f"http://127.0.0.1:{running.port}/health", headers={"Origin": "https://evil.example"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers.get("Access-Control-Allow-Origin") not in ("*", "https://evil.example")
    root = urllib.request.Request(f"http://127.0.0.1:{running.port}/", headers={"Authorization": f"Bearer {running.key}"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(root, timeout=30)
    assert refused.value.code == 404
    refused.value.close()


def test_what_it_says_is_one_line_of_json(capfd):
    import os

    read, write = os.pipe()
    host.say(write, event="failed", reason="a\nb")
    os.close(write)
    with os.fdopen(read) as said:
        assert said.read() == '{"event": "failed", "reason": "a\\nb"}\n'
