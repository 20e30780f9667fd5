"""The start banner: it names the models, the file, the key's origin, and never a key."""

import json
import shlex

import pytest

from app.banner import banner, curl_line, host_port, local_line
from app.config import Settings

KEY = "canary-key-0123456789-abcdef"


def load(**environ):
    return Settings.load(environ, dotenv=False)


def test_it_names_models_file_key_source_and_a_command():
    text = banner(load(GEMINI_API_KEY=KEY, PORT="4321"))
    assert "http://127.0.0.1:4321/v1" in text
    assert "opencode.json" in text
    assert "local-model" in text and "mock" in text
    assert "env GEMINI_API_KEY" in text
    assert text.splitlines()[-1].strip().startswith("curl http://127.0.0.1:4321/v1/chat/completions")


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GATEWAY_API_KEYS"])
def test_no_key_is_shown_whole(name):
    text = banner(load(**{name: KEY}))
    assert KEY not in text and KEY[4:-4] not in text


def test_without_a_key_it_says_which_variable_to_set():
    assert "set GEMINI_API_KEY" in banner(load())


def test_it_names_the_model_of_requests_that_name_none():
    assert "default    local-model (gemini-relay/gemini-2.5-flash)" in banner(load())
    assert "default    mock (mock/mock)" in banner(load(MODEL_NAME="mock"))
    assert "default    \n" not in banner(Settings.load({}, dotenv=False, opencode={"provider": {}}))


def test_a_default_model_that_cannot_be_resolved_stops_no_start():
    only = {"provider": {"p": {"options": {"baseURL": "http://127.0.0.1:1/v1"}, "models": {"*": {}}}}}
    text = banner(Settings.load({"MODEL_NAME": "anything"}, dotenv=False, opencode=only))
    assert "default    anything (p/anything)" in text
    hidden = {"disabled_providers": ["p"], **only}
    assert "default" not in banner(Settings.load({"MODEL_NAME": "x"}, dotenv=False, opencode=hidden))


def test_a_provider_without_authentication_has_no_line_for_its_key():
    only = {"provider": {"jimmy": {"options": {"engine": "chatjimmy"}, "models": {"m": {}}}}}
    assert "  key  " not in banner(Settings.load({}, dotenv=False, opencode=only))


def test_the_address_really_listened_on_wins():
    assert "http://127.0.0.1:54321/v1" in banner(load(PORT="0"), "127.0.0.1:54321")


def test_a_model_map_without_the_mock_gets_its_own_first_model_in_the_command():
    only = {"provider": {"p": {"options": {"baseURL": "http://127.0.0.1:1/v1"}, "models": {"one": {}, "two": {}}}}}
    text = banner(Settings.load({}, dotenv=False, opencode=only))
    assert '"model":"one"' in text


def test_an_empty_model_map_has_no_command_to_paste():
    text = banner(Settings.load({}, dotenv=False, opencode={"provider": {}}))
    assert "curl" not in text and "none" in text


def test_many_models_are_counted_not_listed():
    models = {f"m{number}": {} for number in range(30)}
    many = {"provider": {"p": {"options": {"baseURL": "http://127.0.0.1:1/v1"}, "models": models}}}
    assert "and 14 more" in banner(Settings.load({}, dotenv=False, opencode=many))


def test_the_command_is_one_shell_command_with_a_json_body():
    words = shlex.split(curl_line("http://127.0.0.1:8000", "mock", load()))
    assert json.loads(words[-1])["model"] == "mock"
    assert "Authorization" not in " ".join(words)
    assert "Authorization" in curl_line("http://127.0.0.1:8000", "mock", load(GATEWAY_API_KEYS=KEY))


@pytest.mark.parametrize(
    ("host", "joined"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80")]
)
def test_host_port(host, joined):
    assert host_port(host, 80) == joined


def test_the_models_on_this_machine():
    assert local_line([], 0, True) == local_line([], 0, False) == ""
    assert local_line(["a", "b"], 0, True) == "  on this machine: a, b"
    assert local_line(["a"], 2, False).endswith(
        "a (2 cannot be used: `python -m app list` says why); `./run.sh --local` installs what runs them"
    )
    assert local_line([], 1, False) == (
        "  on this machine: none that can be used (1 cannot be used: `python -m app list` says why)"
    )
    assert "and 4 more" in local_line([f"m{number}" for number in range(20)], 0, True)
