"""A stored request as a command: whatever a client sent, the shell sees words and nothing more; no key is in it."""

import json
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.capture import dump
from app.curl_text import KEY_VARIABLE, curl_text

URL = "http://127.0.0.1:8000"
ROW = {"method": "POST", "path": "/v1/chat/completions"}
HOSTILE = ["it's", "$(touch x)", "`id`", "a\nb", "'; rm -rf / #", "\\", '"$HOME"', "!!", "@/etc/passwd", "\0", "한글", "\ud800"]


def body_of(command):
    words = shlex.split(command)
    return json.loads(words[words.index("--data-binary") + 1])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_real_shell_hands_over_exactly_the_body(text):
    command = curl_text(URL, ROW, {"X-Session-Id": text.replace("\0", "").replace("\ud800", "")}, {"text": text}, False)
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + command
    shown = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=30)
    words = shown.stdout.decode().split("\0")[:-1]
    assert shown.stderr == b""
    assert words[words.index("--data-binary") + 1] == dump({"text": text})
    assert words[:3] == ["-sS", "--no-buffer", URL + "/v1/chat/completions"]
    assert len(words) == 9


@settings(max_examples=60)
@given(st.recursive(st.text() | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_body_comes_back(body):
    command = curl_text(URL, ROW, {}, {"body": body}, False)
    assert body_of(command) == {"body": body}
    assert command.count("\n") == 1 and command.endswith("\n")


def test_a_body_that_is_a_text_names_no_file():
    words = shlex.split(curl_text(URL, ROW, {}, "@/etc/passwd", False))
    assert not words[words.index("--data-binary") + 1].startswith("@")


def test_no_key_of_the_client_is_in_it():
    headers = {"Authorization": "Bearer sk-1", "x-api-key": "sk-2", "api-key": "sk-3", "Cookie": "sk-4", "X-Session-Id": "s"}
    command = curl_text(URL, ROW, headers, {"model": "m"}, False)
    assert "sk-" not in command and KEY_VARIABLE not in command
    assert shlex.split(command).count("-H") == 2


def test_where_keys_are_wanted_the_shell_fills_one_in():
    command = curl_text(URL, ROW, {"Authorization": "Bearer sk-1"}, {}, True)
    script = f"{KEY_VARIABLE}=mine; curl() {{ printf '%s\\n' \"$@\"; }}\n{command}"
    shown = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True, timeout=30)
    assert "Authorization: Bearer mine" in shown.stdout.split("\n")
    assert "sk-1" not in command


@pytest.mark.parametrize(
    ("method", "body", "named"),
    [("POST", {}, None), ("GET", None, None), ("DELETE", None, "DELETE"), ("POST", None, "POST"), ("GET", {}, "GET"),
     (None, None, None), ("X; id", None, "X; id")],
)  # fmt: skip
def test_the_method_is_named_where_curl_would_take_another(method, body, named):
    words = shlex.split(curl_text(URL, {"method": method, "path": "/v1/models"}, {}, body, False))
    assert (words[words.index("-X") + 1] if "-X" in words else None) == named
    assert ("--data-binary" in words) == (body is not None)


def test_a_hostile_path_is_one_word_of_the_same_server():
    words = shlex.split(curl_text(URL, {"method": "GET", "path": "/a' $(id);b"}, {}, None, False))
    assert words == ["curl", "-sS", "--no-buffer", URL + "/a' $(id);b"]
