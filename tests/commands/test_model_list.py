"""`python -m app list`: the models of opencode.json (those on this machine: test_local.py)."""

import json

import pytest

from app.commands.model_list import as_lines

MAP = {
    "provider": {
        "m": {"options": {"engine": "mock"}, "models": {"one": {"name": "The One", "limit": {"context": 7, "output": 5}}}},
        "a": {"options": {"engine": "alias"}, "models": {"other": {"id": "one"}}},
    }
}


@pytest.fixture
def listed(run_here, tmp_path):
    config = tmp_path / "opencode.json"
    config.write_text(json.dumps(MAP), "utf-8")

    def listed(*options):
        done = run_here("list", *options, OPENCODE_CONFIG=str(config))
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout

    return listed


def test_text_is_a_table(listed):
    head, *rows = [line.split() for line in listed().splitlines()]
    assert head == ["MODEL", "PARAMETERS", "QUANTIZATION", "SIZE", "STATE", "FROM"]
    assert rows == [["one", "upstream", "m/one"], ["other", "alias", "m/one"]]
    assert "m/one (engine mock, context 7)" in listed("--verbose")


def test_json_has_all_fields_of_every_model(listed):
    one, other = json.loads(listed("--json"))
    assert set(one) == set(other)
    assert (one["id"], one["context_length"], one["engine"], one["kind"]) == ("one", 7, "mock", "upstream")
    assert (other["kind"], other["leads_to"], other["problem"]) == ("alias", "m/one", None)


@pytest.mark.parametrize("flag", ["--short", "-s"])
def test_short_is_names_only(listed, flag):
    assert listed(flag) == "one\nother\n"
    assert json.loads(listed(flag, "--json")) == ["one", "other"]


def test_no_model_at_all_is_a_sentence():
    assert as_lines([], verbose=False) == ["There are no models: neither in opencode.json nor on this machine."]


def test_what_a_file_is_called_cannot_steer_a_terminal():
    facts = dict.fromkeys(("parameter_count", "quantization", "size_bytes", "state", "leads_to"))
    row = {**facts, "id": "evil\x1b[31m", "local": True, "path": "/m/a\nb\x9b.gguf", "source": "folder"}
    row["problem"] = "bad \x07 header"
    assert not [sign for line in as_lines([row], False) for sign in line if ord(sign) < 32 or 127 <= ord(sign) < 160]
    assert "cannot be used: bad \\u0007 header" in as_lines([row], False)[2]
