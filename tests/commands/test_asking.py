"""One question without a server: what is kept of an answer, other addresses, and being cancelled by a signal."""

import os
import signal

import pytest

from app.commands.asking import Answer, Interrupted, ask, cancelled_by_signals, new_turn, target_at
from app.errors import ClientGone
from app.local_models.targets import find_target
from tests.conftest import settings_for

KEY = "canary-key-0123456789-abcdef"
MOCK = {"m": {"options": {"engine": "mock"}, "models": {"echo": {}}}}


@pytest.fixture(params=[True, False], ids=["stream", "whole"])
def stream(request):
    return request.param


def test_an_answer_is_kept(stream):
    settings, answer = settings_for(MOCK), Answer()
    body = {"messages": [{"role": "user", "content": "one two three"}], "stream": stream}
    body |= {"stream_options": {"include_usage": True}} if stream else {}
    with cancelled_by_signals() as cancel:
        pieces = list(ask(new_turn(body, find_target("echo", settings), settings, cancel), answer))
    assert "".join(pieces) == "".join(answer.text) == "one two three" and (len(pieces) > 1) is stream
    assert answer.finish_reason == "stop" and answer.usage["completion_tokens"] == 3
    assert 0 <= answer.first <= answer.seconds


@pytest.mark.parametrize(
    ("usage", "first", "seconds", "speed"),
    [(None, 1.0, 2.0, None), ({"completion_tokens": 1}, 1.0, 2.0, None), ({"completion_tokens": 11}, 1.0, 2.0, 10.0),
     ({"completion_tokens": 11}, 1.0, 1.0, None), ({"completion_tokens": "x"}, 1.0, 2.0, None)],
)  # fmt: skip
def test_speed(usage, first, seconds, speed):
    assert Answer(usage=usage, first=first, seconds=seconds).speed == speed


@pytest.mark.parametrize(
    ("url", "base_url"),
    [("http://x.example", "http://x.example/v1"), ("http://x.example/", "http://x.example/v1"),
     ("http://x.example/v1/", "http://x.example/v1"), ("http://x.example/api/v3", "http://x.example/api/v3")],
)  # fmt: skip
def test_an_address_without_a_path_is_a_gateways(url, base_url):
    assert target_at(url, "m", settings_for(MOCK)).base_url == base_url


def test_the_gateways_own_key_goes_to_the_gateway_only():
    settings = settings_for(MOCK, GATEWAY_API_KEYS=f"{KEY},other", OPENAI_API_KEY="sk-theirs-0123456789", PORT="4321")
    assert target_at("http://localhost:4321/v1", "m", settings).api_key == KEY
    assert target_at("http://localhost:4322/v1", "m", settings).api_key == "sk-theirs-0123456789"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as ended, cancelled_by_signals() as cancel:
        os.kill(os.getpid(), number)
        assert cancel.wait(10)
        raise ClientGone("The client went away.")
    assert ended.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once():
    with pytest.raises(Interrupted) as ended, cancelled_by_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()  # never reached, or left at once
    assert ended.value.exit_code == 130


def test_other_errors_pass():
    with pytest.raises(ClientGone), cancelled_by_signals():
        raise ClientGone("No signal came.")
