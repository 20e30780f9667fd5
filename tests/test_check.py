import json

import pytest

from app.check import check
from app.config import ROOT, Settings

RELAY = "http://relay.corp/v1"
GOOD = {"options": {"baseURL": RELAY, "apiKey": "k"}, "models": {"good": {}}}


def findings(data, environ=None):
    return check(Settings.load(environ or {}, dotenv=False, opencode=data))


def provider(**parts):
    return {"provider": {"good": GOOD, "p": parts}}


def test_a_sound_map_has_no_findings():
    assert findings({"provider": {"good": GOOD}}) == []


def test_the_shipped_file_only_wants_keys_and_an_address():
    path = ROOT / "opencode.json"
    given = {"GEMINI_API_KEY": "k", "GROQ_API_KEY": "k", "TRANSFORMERS_URL": "http://127.0.0.1:1"}
    assert check(path, given, dotenv=False) == []
    found = check(path, {}, dotenv=False)
    assert {(one.level, one.path) for one in found} == {
        ("warning", "provider.gemini-relay.options.apiKey"),
        ("warning", "provider.groq.options.apiKey"),
        ("warning", "provider.transformers.options.baseURL"),
    }
    text = " ".join(one.message for one in found)
    assert all(name in text for name in ("set GEMINI_API_KEY", "set GROQ_API_KEY", "TRANSFORMERS_URL is not set"))


def test_an_engine_without_authentication_wants_no_key():
    assert findings(provider(options={"engine": "chatjimmy"}, models={"m": {}})) == []


def test_a_raw_engine_needs_an_address_unless_it_may_be_named_later():
    nothing = findings(provider(options={"engine": "harmony", "apiKey": "k"}, models={"m": {}}))
    assert [(one.level, one.path) for one in nothing] == [("error", "provider.p.options.baseURL")]
    later = {"engine": "harmony", "apiKey": "k", "baseURL": "{env:TRANSFORMERS_URL}"}
    assert [one.level for one in findings(provider(options=later, models={"m": {}}))] == ["warning"]
    set_now = {"TRANSFORMERS_URL": "http://127.0.0.1:1"}
    assert findings(provider(options=later, models={"m": {}}), set_now) == []


MODELS = {"m": {}}
ADDRESS = {"baseURL": RELAY, "apiKey": "k"}


@pytest.mark.parametrize(
    ("data", "level", "path", "words"),
    (
        ({}, "error", "provider", "no usable upstream model"),
        (provider(options=ADDRESS), "warning", "provider.p", "lists no models"),
        (provider(options={"baseURL": RELAY}, models=MODELS), "warning", "provider.p.options.apiKey", "no key"),
        (
            provider(options={"baseURL": RELAY, "apiKey": "your-api-key-here"}, models=MODELS),
            "warning", "provider.p.options.apiKey", "placeholder",
        ),
        (
            provider(options={**ADDRESS, "headers": {"x": "{env:NOT_SET}"}}, models=MODELS),
            "warning", "provider.p.options.headers.x", "NOT_SET is not set",
        ),
        (provider(options={"apiKey": "k"}, models=MODELS), "error", "provider.p.options.baseURL", "no address"),
        (
            provider(options={**ADDRESS, "baseURL": "relay.corp"}, models=MODELS),
            "error", "provider.p.options.baseURL", "http",
        ),
        (
            provider(options={**ADDRESS, "baseURL": "http://${NOPE}/v1"}, models=MODELS),
            "error", "provider.p.options.baseURL", "http",
        ),
        (
            provider(options={**ADDRESS, "engine": "warp"}, models=MODELS),
            "error", "provider.p.options.engine", "unknown engine `warp`; known are litellm, relay, mock, chatjimmy, harmony, ",
        ),
        (
            provider(options={**ADDRESS, "gateway": {"m": {"engine": "warp"}}}, models=MODELS),
            "error", "provider.p.options.gateway.m.engine", "unknown engine",
        ),
        (
            provider(npm="@ai-sdk/anthropic", options={"engine": "relay", "apiKey": "k"}, models=MODELS),
            "error", "provider.p.options.engine", "OpenAI's dialect only",
        ),
        (provider(npm="@corp/x", options=ADDRESS, models=MODELS), "warning", "provider.p.npm", "is not known"),
        (provider(options=ADDRESS, models=MODELS, whitelist=["m", "x"]), "warning", "provider.p.whitelist", "`x`"),
        (provider(options=ADDRESS, models=MODELS, blacklist=["m"]), "warning", "provider.p.models.m", "no client can"),
        (
            provider(options={**ADDRESS, "gateway": {"x": {}}}, models=MODELS),
            "warning", "provider.p.options.gateway.x", "no such",
        ),
        (provider(options=ADDRESS, models={"good": {}}), "warning", "provider.p.models.good", "reached as p/good"),
        (
            provider(options={"baseURL": "http://localhost:8000"}, models={"a": {"id": "gone"}}),
            "error", "provider.p.models.a", "leads nowhere",
        ),
        (
            provider(options={"baseURL": "http://localhost:8000", "engine": "relay"}, models={"a": {}}),
            "warning", "provider.p.options.engine", "would call itself",
        ),
        (
            provider(options=ADDRESS, models={"m": {"limit": {"context": 10, "output": 20}}}),
            "warning", "provider.p.models.m.limit", "larger than context",
        ),
        (
            provider(options=ADDRESS, models={"m": {"limit": {"output": 0}}}),
            "warning", "provider.p.models.m.limit.output", "above 0",
        ),
        (
            provider(options=ADDRESS, models={"gpt-5-fast": {"id": "gemini-2.5-flash"}}),
            "warning", "provider.p.models.gpt-5-fast", "gpt-5",
        ),
        (
            {"provider": {"good": {**GOOD, "models": {"gemini-2.5-pro": {}}},
                          "me": {"options": {"engine": "alias"}, "models": {"gpt-5": {"id": "gemini-2.5-pro"}}}}},
            "warning", "provider.me.models.gpt-5", "gpt-5",
        ),
        ({**provider(options=ADDRESS, models=MODELS), "model": "p/x"}, "warning", "model", "no model `x`"),
        ({**provider(options=ADDRESS), "disabled_providers": ["q"]}, "warning", "disabled_providers", "q"),
    ),
)  # fmt: skip
def test_each_surprise_is_found(data, level, path, words):
    found = findings(data)
    assert [f.path for f in found if f.level == level and f.path == path and words in f.message] == [path], found


def test_findings_of_settings():
    found = findings({"provider": {"good": GOOD}}, {"HOST": "0.0.0.0", "MODEL_NAME": "who"})
    assert [(f.level, f.path) for f in found] == [("error", "HOST"), ("warning", "MODEL_NAME")]
    assert "GATEWAY_API_KEYS" in found[0].message


def test_a_broken_shape_is_listed_whole(tmp_path):
    path = tmp_path / "opencode.json"
    path.write_text(json.dumps({"provider": {str(n): n for n in range(9)}}), "utf-8")
    found = check(path, {}, dotenv=False)
    assert [f.path for f in found] == [f"provider.{n}" for n in range(9)]
    assert {f.level for f in found} == {"error"}


@pytest.mark.parametrize(
    ("text", "words"),
    (("{ not json", "line 1, column 3"), ('{"a": "{file:none}"}', "{file:none}"), ("[]", "must be an object")),
)
def test_a_file_that_cannot_be_read_is_one_error(tmp_path, text, words):
    path = tmp_path / "opencode.json"
    path.write_text(text, "utf-8")
    (only,) = check(path, {}, dotenv=False)
    assert (only.level, only.path) == ("error", str(path))
    assert words in only.message


def test_a_missing_file_and_a_bad_variable_are_findings(tmp_path):
    (missing,) = check(tmp_path / "none.json", {}, dotenv=False)
    assert "cannot be read" in missing.message
    (bad,) = check(ROOT / "opencode.json", {"PORT": "x"}, dotenv=False)
    assert "PORT" in bad.message


def test_no_key_shows_in_any_finding():
    data = provider(options={"baseURL": RELAY, "apiKey": "canary-xxxxxxxx"}, models=MODELS)
    assert all("canary" not in f.message for f in findings(data, {"HOST": "0.0.0.0", "GEMINI_API_KEY": "canary-2"}))
