"""The probe before upstreams of known habits: one as odd as can be, one as OpenAI, and some that cannot be asked."""

import json
from dataclasses import replace

import pytest

from app.engines import wire
from app.errors import ModelNotFound
from app.probe import CannotProbe, find_target, probe
from app.probe_calls import MAX_CALLS
from tests.conftest import provider_at, settings_for
from tests.scenarios.builder import Odd, build_chunks, build_completion
from tests.upstream import json_answer, sse_answer
from tests.upstream_gemini import GeminiMode, Turn

CITIES = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})]
MODELS = {"gemini-3-pro": {}, "some-model": {}}


class WellBehaved:
    """OpenAI's own way: everything is taken, systems are obeyed, usage only when asked."""

    odd = Odd()

    def __call__(self, request):
        body = request.body
        if not isinstance(body["messages"], list):
            error = {"message": "messages must be a list", "type": "invalid_request_error", "param": None, "code": None}
            return json_answer({"error": error}, 400)
        after_tool = body["messages"][-1]["role"] == "tool"
        told = [m["content"].split()[-1] for m in body["messages"] if m["role"] == "system" and "contain" in m["content"]]
        turn = ("", CITIES) if body.get("tools") and not after_tool else (" ".join(["hello", *told]), ())
        if not body.get("stream"):
            return json_answer(build_completion(*turn, self.odd))
        asked = (body.get("stream_options") or {}).get("include_usage")
        return sse_answer(build_chunks(*turn, self.odd if asked else replace(self.odd, usage_at="never")))


class Refusing(WellBehaved):
    """The same, but refuses one parameter a time without JSON paths, and says nothing about schemas."""

    def __call__(self, request):
        body = request.body
        for name in ("seed", "store"):
            if name in body:
                error = {"message": f"Unsupported parameter: '{name}'", "type": "invalid_request_error", "code": None}
                return json_answer({"error": error}, 400)
        if '"const"' in json.dumps(body.get("tools")):
            return json_answer({"error": {"message": "Request contains an invalid argument."}}, 400)
        return super().__call__(request)


@pytest.fixture(autouse=True)
def closed_connections():
    yield
    wire.close_idle()


@pytest.fixture
def settings(upstream):
    return settings_for({"up": provider_at(upstream.base_url, "litellm", MODELS)})


@pytest.fixture
def ask(upstream, settings):
    def ask(behaviour, model="some-model"):
        upstream.reply_with(behaviour)
        result = probe(find_target(model, None, settings), settings, lambda seconds: None)
        assert result.calls == len(upstream.bodies) <= MAX_CALLS
        return result

    return ask


def test_an_upstream_as_openai_has_nothing_odd(ask):
    result = ask(WellBehaved())
    assert {finding.name: finding.value for finding in result.findings if finding.state != "ok"} == {}
    assert result.rules == {} and result.calls <= 12
    assert result.value("two system messages") == "both obeyed"
    assert result.value("schema keywords refused") == result.value("parameters refused") == []


def test_gemini_3_behind_a_relay(ask):
    gemini = GeminiMode([Turn(calls=CITIES), Turn("Done.")], title="hello")
    result = ask(gemini, "gemini-3-pro")
    expected = {
        "usage in a stream": "every chunk", "numbers of calls": "missing", "ids of calls": "empty",
        "finish reason with calls": "stop", "thought signatures sent": True, "thought signatures needed": True,
        "dummy signature": "taken", "hidden thinking tokens": 300, "errors": "a JSON array", "parallel calls": True,
        "tool calls": "yes, whole calls",
    }  # fmt: skip
    assert {name: result.value(name) for name in expected} == expected
    assert {"$schema", "const", "list of types", "empty object"} <= set(result.value("schema keywords refused"))
    assert not {"pattern", "minLength", "minItems"} & set(result.value("schema keywords refused"))
    assert {"seed", "store", "top_k"} <= set(result.value("parameters refused"))
    assert not {"temperature", "reasoning_effort", "n"} & set(result.value("parameters refused"))
    assert result.value("with repairs").endswith("gets through")
    rules = {"gemini.schema", "gemini.parameters", "gemini.thought_signature", "gemini.system_merge", "tool.id",
             "stream.tool_index", "finish.tool_calls", "usage.final_chunk", "usage.hidden_thinking", "error.array"}
    assert rules <= set(result.rules)


def test_refusals_that_name_little_are_still_told_apart(ask):
    result = ask(Refusing())
    assert result.value("parameters refused") == ["seed", "store"]
    assert result.value("schema keywords refused") == ["const"]
    assert result.value("schema keywords not told apart") is None


ODD = [
    ({"usage_at": "ride"}, "usage in a stream", "last content chunk", "usage.final_chunk"),
    ({"finish": "STOP"}, "finish reasons of a stream", ["STOP"], "finish.map"),
    ({"finish_at": "never"}, "finish reasons of a stream", [], None),
    ({"index": "zero", "packing": "per_call"}, "numbers of calls", "all 0", "stream.tool_index"),
    ({"ids": "missing"}, "ids of calls", "missing", "tool.id"),
    ({"reasoning": "Hm", "reasoning_as": "thought"}, "reasoning", "<thought>", None),
]


@pytest.mark.parametrize(("odd", "name", "value", "rule"), ODD)
def test_an_oddity_is_found_and_its_rule_named(ask, odd, name, value, rule):
    behaviour = WellBehaved()
    behaviour.odd = Odd(**odd)
    result = ask(behaviour)
    finding = next(finding for finding in result.findings if finding.name == name)
    assert (finding.value, finding.state) == (value, "odd")
    assert rule is None or rule in result.rules


def test_json_in_place_of_a_stream(ask):
    class Whole(WellBehaved):
        def __call__(self, request):
            request.body.pop("stream", None)
            return super().__call__(request)

    assert ask(Whole()).value("streams") == "no: whole JSON instead of events"


def test_a_limit_of_another_name(ask):
    class Newer(WellBehaved):
        def __call__(self, request):
            if "max_tokens" in request.body:
                message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
                return json_answer({"error": {"message": message}}, 400)
            return super().__call__(request)

    assert ask(Newer()).value("name of the token limit") == "max_completion_tokens"


def test_only_the_last_system_message(ask):
    class Last(WellBehaved):
        def __call__(self, request):
            messages = request.body["messages"]
            if isinstance(messages, list):
                systems = [m for m in messages if m["role"] == "system"]
                request.body["messages"] = [*systems[-1:], *(m for m in messages if m["role"] != "system")]
            return super().__call__(request)

    assert ask(Last()).value("two system messages") == "only the last seems to be obeyed"


CANNOT = [
    (json_answer({"error": {"message": "Incorrect API key"}}, 401), "key", "refuses the key (opencode.json)"),
    (json_answer([{"error": {"message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], 400), "key", "API key not"),
    (json_answer({"error": {"message": "The model does not exist", "code": "model_not_found"}}, 404), "model", "`some-model`"),
    (json_answer({"detail": "Not Found"}, 404), "address", "Is the baseURL right?"),
    (sse_answer([b"<html>proxy</html>"], done=False), "address", "not as an OpenAI endpoint"),
    (json_answer({"error": {"message": "No billing"}}, 402), "refused", "HTTP 402"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), CANNOT)
def test_what_cannot_be_asked_is_one_sentence(upstream, settings, answer, kind, words):
    upstream.reply(answer)
    with pytest.raises(CannotProbe) as caught:
        probe(find_target("some-model", None, settings), settings)
    assert caught.value.kind == kind and words in str(caught.value)
    assert len(upstream.bodies) == 1


def test_nobody_there(upstream, settings):
    upstream.close()
    with pytest.raises(CannotProbe, match="Cannot reach http://127") as caught:
        probe(find_target("some-model", None, settings), settings)
    assert caught.value.kind == "unreachable"


class TestTarget:
    def test_an_address_of_its_own(self, settings, upstream):
        known = find_target("some-model", "http://127.0.0.1:9/v1", settings)
        assert (known.base_url, known.model, known.engine_name) == ("http://127.0.0.1:9/v1", "some-model", "relay")
        free = find_target("any/name", "http://127.0.0.1:9/v1", settings)
        assert (free.base_url, free.model) == ("http://127.0.0.1:9/v1", "any/name")

    def test_an_unknown_name_without_an_address(self, settings):
        with pytest.raises(ModelNotFound, match="some-model"):
            find_target("some-modle", None, settings)

    @pytest.mark.parametrize("provider", [{"options": {"engine": "mock"}}, {"npm": "@ai-sdk/anthropic"}])
    def test_what_speaks_another_language_cannot_be_probed(self, provider):
        settings = settings_for({"p": {**provider, "models": {"m": {}}}})
        with pytest.raises(CannotProbe, match="OpenAI's dialect"):
            find_target("m", None, settings)
