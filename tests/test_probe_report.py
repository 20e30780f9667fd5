"""`python -m app probe`: a table, JSON, exit codes; no key and no terminal escape in what it prints."""

import json
import subprocess
import sys

import pytest

from app.engines import wire
from app.probe_report import run
from tests.answers import completion
from tests.conftest import provider_at, settings_for
from tests.gateway import ROOT, clean_environ
from tests.maps import write_map
from tests.test_probe import CITIES, WellBehaved
from tests.upstream_gemini import GeminiMode, Turn

KEY = "sk-upstream-0123456789"


@pytest.fixture(autouse=True)
def closed_connections():
    yield
    wire.close_idle()


@pytest.fixture
def show(upstream):
    def show(model="some-model", as_json=False, url=None):
        models = {"gemini-3-pro": {}, "some-model": {}}
        settings = settings_for({"up": provider_at(upstream.base_url, "relay", models)})
        written = []
        code = run(model, url, as_json, settings, written.append)
        return code, "\n".join(written)

    return show


def test_the_table_says_what_and_which_rules(show, upstream):
    upstream.reply_with(GeminiMode([Turn(calls=CITIES), Turn("Done.")]))
    code, text = show("gemini-3-pro")
    assert code == 0
    assert "  ODD  numbers of calls             missing\n" in text
    assert "  ok   streams                      yes, 3 chunks\n" in text
    assert "\n  gemini.schema                Gemini refuses a request for one schema keyword" in text
    assert text.endswith("calls were made. ok: as OpenAI does, ODD: not, ?: no telling")


def test_json_holds_the_same(show, upstream):
    upstream.reply_with(GeminiMode([Turn(calls=CITIES), Turn("Done.")]))
    code, text = show("gemini-3-pro", as_json=True)
    result = json.loads(text)
    assert (code, result["ok"], result["error"]) == (0, True, None)
    assert result["findings"]["numbers of calls"] == {"value": "missing", "state": "odd"}
    assert "gemini.schema" in [rule["id"] for rule in result["rules"]] and result["calls"] == len(upstream.bodies)


def test_no_rule_for_an_upstream_as_openai(show, upstream):
    upstream.reply_with(WellBehaved())
    assert "Rules that will repair this upstream: none" in show()[1]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_is_a_sentence_and_a_one(show, upstream, as_json):
    upstream.refuse(401, {"error": {"message": f"Incorrect API key {KEY}\x1b[2J"}})
    code, text = show(as_json=as_json)
    assert code == 1 and KEY not in text and "\x1b" not in text
    if as_json:
        assert json.loads(text)["error"]["kind"] == "key"
    else:
        assert "refuses the key" in text and "\n" not in text


def test_hostile_words_cannot_steer_a_terminal(show, upstream):
    upstream.reply_json(completion("\x1b[31mred", reasoning="\x1b]0;title\x07"))
    code, text = show()
    assert code == 0 and "\x1b" not in text and "\x07" not in text


def command(tmp_path, *arguments, **environ):
    return subprocess.run([sys.executable, "-m", "app", "probe", *arguments], cwd=ROOT, capture_output=True, text=True,
                          env=clean_environ(tmp_path, **environ), timeout=60)


def test_the_command(tmp_path, upstream):
    upstream.reply_with(WellBehaved())
    model_map = write_map(tmp_path, {"provider": {"up": provider_at(upstream.base_url, "relay")}})
    done = command(tmp_path, "some-model", "--json", OPENCODE_CONFIG=model_map)
    assert done.returncode == 0 and json.loads(done.stdout)["ok"], done.stderr
    done = command(tmp_path, "any-model", "--url", upstream.base_url, OPENCODE_CONFIG=model_map)
    assert done.returncode == 0 and done.stdout.startswith("any-model -> any-model at http://127.0.0.1:")


def test_the_command_ends_with_1_or_2(tmp_path):
    done = command(tmp_path, "no-such-model")
    assert done.returncode == 1 and "does not exist" in done.stdout and "Traceback" not in done.stderr
    assert command(tmp_path).returncode == 2
    assert command(tmp_path, "mock", MAX_TOKENS="many").returncode == 2
