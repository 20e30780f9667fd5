import json

import pytest

from app.errors import ConfigError
from app.opencode_config import config_from_text, find_config, read_config
from app.quirks.families import BUILT_IN


def read(tmp_path, text, **environ):
    return config_from_text(text, environ, tmp_path)


def provider(config, name="p"):
    return config.providers[name]


def test_the_whole_dialect_in_one_file(tmp_path):
    (tmp_path / "key.txt").write_text('  file "key"\n', "utf-8")
    text = """\ufeff{
      // {file:not-there.txt} in a comment is nobody's business
      "provider": { /* mine */ "p": {
        "api": "https://${REGION}.example/v1",
        "options": { "baseURL": "http://${HOSTNAME}:${NO_SUCH}/v1", "apiKey": "{env:THE_KEY}", 
                     "unknown": {"deep": [1,],},
                     "headers": {"x-file": "{file:key.txt}",
                                 "x-both": "a {env:THE_KEY} b", "x-none": "{env:NOT_SET}"} },
        "models": { "m": { "provider": {"api": "http://${REGION}"}, "brand_new_key": 1, }, },
      }, },
    }""".replace("\n", "\r\n")
    config = read(tmp_path, text, THE_KEY="k-1", REGION="eu", HOSTNAME="box")
    found = provider(config)
    assert found["api"] == "https://eu.example/v1"
    assert found["options"]["baseURL"] == "http://box:${NO_SUCH}/v1"
    assert found["options"]["apiKey"] == "k-1"
    assert found["options"]["headers"] == {"x-file": 'file "key"', "x-both": "a k-1 b", "x-none": ""}
    assert found["models"]["m"]["provider"]["api"] == "http://eu"
    assert config.sources[("provider", "p", "options", "apiKey")] == "THE_KEY"
    assert ("provider", "p", "options", "headers", "x-both") not in config.sources
    assert config.missing == (("provider.p.options.headers.x-none", "NOT_SET"),)
    assert config.watched == (tmp_path / "key.txt",)


def test_a_placeholder_may_stand_outside_a_string(tmp_path):
    config = read(tmp_path, '{"provider": {"p": {"models": {"m": {"limit": {"output": {env:LIMIT}}}}}}}', LIMIT="5")
    assert provider(config)["models"]["m"]["limit"] == {"output": 5}


def test_files_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text("s3", "utf-8")
    config = config_from_text('{"provider": {"p": {"options": {"apiKey": "{file:~/secret}"}}}}', {}, tmp_path / "else")
    assert provider(config)["options"]["apiKey"] == "s3"


@pytest.mark.parametrize(
    ("text", "where"),
    (
        ("[]", "must be an object"),
        ('{"provider": []}', "provider: must be an object"),
        ('{"provider": {"foo": 1}}', "provider.foo: must be an object"),
        ('{"provider": {"foo": {"models": []}}}', "provider.foo.models: must be an object"),
        ('{"provider": {"foo": {"models": {"bar": "x"}}}}', "provider.foo.models.bar: must be an object"),
        (
            '{"provider": {"foo": {"models": {"bar": {"limit": 5}}}}}',
            "provider.foo.models.bar.limit: must be an object",
        ),
        (
            '{"provider": {"foo": {"models": {"bar": {"limit": {"output": "many"}}}}}}',
            "provider.foo.models.bar.limit.output: must be a number",
        ),
        ('{"provider": {"foo": {"options": {"apiKey": 5}}}}', "provider.foo.options.apiKey: must be a string"),
        (
            '{"provider": {"foo": {"options": {"headers": {"a": 1}}}}}',
            "provider.foo.options.headers.a: must be a string",
        ),
        ('{"provider": {"foo": {"whitelist": "m"}}}', "provider.foo.whitelist: must be a list of strings"),
        (
            '{"provider": {"foo": {"options": {"gateway": {"m": 1}}}}}',
            "provider.foo.options.gateway.m: must be an object",
        ),
        (
            '{"provider": {"foo": {"models": {"a": {"provider": {"npm": 1}}}}}}',
            "models.a.provider.npm: must be a string",
        ),
        ('{"disabled_providers": [1]}', "disabled_providers: must be a list of strings"),
        ('{\n "provider": {,}}', "line 2, column 15"),
        ('{"a": "{file:nope.txt}"}', "{file:nope.txt} cannot be read"),
    ),
)
def test_broken_files_name_the_place(tmp_path, text, where):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert where in str(caught.value)


def test_a_variable_that_breaks_the_file_is_named_and_not_shown(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, '{"model": "{env:BAD}"}', BAD='can"ary-7')
    assert "BAD" in str(caught.value)
    assert "ary-7" not in str(caught.value)


def test_which_file_is_read(tmp_path):
    assert find_config(None, tmp_path) is None
    (tmp_path / "opencode.jsonc").write_text("{}", "utf-8")
    assert find_config(None, tmp_path) == tmp_path / "opencode.jsonc"
    (tmp_path / "opencode.json").write_text("{}", "utf-8")
    assert find_config(None, tmp_path) == tmp_path / "opencode.json"
    assert find_config("/elsewhere/o.json", tmp_path).as_posix() == "/elsewhere/o.json"


def test_without_any_file_the_built_in_map_serves_and_says_so(tmp_path):
    config = read_config(None, {"GEMINI_API_BASE": "http://relay/v1", "GEMINI_API_KEY": "k"}, tmp_path)
    assert str(tmp_path) in config.problem
    assert list(config.providers) == list(BUILT_IN["provider"])
    relay = next(iter(config.providers.values()))
    assert relay["options"]["baseURL"] == "http://relay/v1"
    assert "mock" in config.providers


def test_unreadable_bytes_are_an_error(tmp_path):
    path = tmp_path / "opencode.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(path, {}, tmp_path)


def test_schema_of_opencode_is_accepted_whole(tmp_path):
    model = {
        "id": "x", "name": "X", "family": "f", "release_date": "2026-01-02", "attachment": True, "reasoning": True,
        "temperature": True, "tool_call": True, "interleaved": {"field": "reasoning_content"}, "experimental": False,
        "cost": {"input": 1, "output": 2.5, "cache_read": 0, "context_over_200k": {"input": 2}}, "status": "beta",
        "limit": {"context": 1, "input": 1, "output": 1}, "modalities": {"input": ["text"], "output": ["text"]},
        "provider": {"npm": "n", "api": "a"}, "options": {"reasoningEffort": "low"}, "headers": {"h": "v"},
        "variants": {"high": {"reasoningEffort": "high"}},
    }  # fmt: skip
    entry = {
        "api": "http://a", "name": "P", "env": ["A_KEY"], "id": "p", "npm": "n", "whitelist": ["m"], "blacklist": [],
        "options": {"apiKey": "k", "baseURL": "http://b", "timeout": False, "chunkTimeout": 5, "setCacheKey": True},
        "models": {"m": model},
    }  # fmt: skip
    whole = {"$schema": "s", "model": "p/m", "small_model": "p/m", "share": "disabled", "provider": {"p": entry}}
    whole |= {"enabled_providers": ["p"], "disabled_providers": [], "keybinds": {"leader": "x"}, "mcp": {}}
    assert read(tmp_path, json.dumps(whole)).data == whole
