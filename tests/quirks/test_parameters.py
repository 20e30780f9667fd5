import pytest

from app.quirks import parameters as rules
from app.quirks.parameters import learn, learned_name
from app.quirks.preparation import prepare
from app.quirks.report import Report
from tests.quirks.targets import FakeTarget, apply, facts

GOOGLE = 'Invalid JSON payload received. Unknown name "{}"{}: Cannot find field.'


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        (GOOGLE.format("store", ""), ["store"]),
        (GOOGLE.format("store", "") + "\n" + GOOGLE.format("top_k", ""), ["store", "top_k"]),
        ('[{"error": {"message": "' + GOOGLE.format("store", "").replace('"', '\\"') + '"}}]', ["store"]),
        (GOOGLE.format("$schema", " at 'tools[0].function_declarations[3].parameters'"), ["tools:$schema"]),
        (GOOGLE.format("nullable", " at 'tools[0].function_declarations[0].parameters.properties[1].value'"),
         ["tools:nullable"]),
        (GOOGLE.format("refusal", " at 'messages[2]'"), ["messages:refusal"]),
        (GOOGLE.format("stop_token", " at 'generation_config'"), ["response_format:stop_token"]),
        # known, but of another shape: not to be removed
        ('Unknown name "type" at \'tools[0].function_declarations[7].parameters\': Proto field is not repeating.', []),
        ('Unknown name "maximum" at \'tools[0].x\': Proto field is not repeating, cannot start list.', []),
        (GOOGLE.format("messages", ""), []),
        (GOOGLE.format("name", " at 'tools[0].function_declarations[0]'"), []),
        ("Unrecognized request argument supplied: seed", ["seed"]),
        ("Unknown parameter: 'reasoning'.", ["reasoning"]),
        ("Unknown parameter: 'messages[1].tool_calls[0].extra_content'.", ["messages:extra_content"]),
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", ["max_tokens"]),
        ("'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : "
         "property 'reasoning_content' is unsupported)]",
         ["messages:reasoning_content"]),
        ("property 'store' is unsupported", ["store"]),
        ("Request contains an invalid argument.", []),
        ("", []),
    ),
)  # fmt: skip
def test_refusals_are_learned(text, expected):
    assert [learned_name(*pair) for pair in learn(text)] == expected


def test_what_was_learned_is_left_out_where_it_was_refused():
    body = {
        "seed": 1,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x", "detail": 1}], "detail": 2},
            {"role": "assistant", "tool_calls": [{"id": "a", "detail": 3, "function": {"name": "f", "detail": 4}}]},
        ],
        "tools": [
            {
                "type": "function",
                "pattern": 1,
                "function": {
                    "name": "f",
                    "pattern": 1,
                    "parameters": {"properties": {"pattern": {"type": "string", "pattern": "x"}}},
                },
            }
        ],
    }
    learned = frozenset({"seed", "messages:detail", "messages:role", "tools:pattern", "tools:type", "model", "absent"})
    known = facts()._replace(learned=learned, dropped=[])
    left, places = apply(rules.remove_learned, body, known)
    assert left == {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"properties": {"pattern": {"type": "string"}}}},
            }
        ],
    }
    assert known.dropped == ["seed"] and len(places) == 6


@pytest.mark.parametrize(
    ("rule", "body", "expected"),
    (
        (rules.drop_nulls, {"stop": None, "seed": 0}, {"seed": 0}),
        (rules.stream_options_only_in_streams, {"stream_options": {}, "stream": False}, {"stream": False}),
        (rules.stream_options_only_in_streams, {"stream_options": {}, "stream": True}, None),
        (rules.tool_choice_needs_tools, {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        (rules.tool_choice_needs_tools, {"tools": [{}], "tool_choice": "auto"}, None),
        (rules.one_token_limit, {"max_tokens": 1, "max_completion_tokens": 2}, {"max_tokens": 2}),
        (rules.one_token_limit, {"max_completion_tokens": 2}, None),
    ),
)
def test_parameters(rule, body, expected):
    left, places = apply(rule, body)
    assert left == {"messages": [], **(body if expected is None else expected)}
    assert bool(places) is (expected is not None)


def test_a_default_never_overrides_the_clients_limit():
    body = {"max_tokens": 50, "max_completion_tokens": 1000}
    known = facts()._replace(defaulted=frozenset({"max_completion_tokens"}))
    assert apply(rules.one_token_limit, body, known)[0]["max_tokens"] == 50


def test_openai_itself_gets_the_newer_name():
    assert FakeTarget().openai_dialect
    known = facts()._replace(host="api.openai.com")
    left, _ = apply(rules.one_token_limit, {"max_tokens": 1, "max_completion_tokens": 2}, known)
    assert left == {"messages": [], "max_completion_tokens": 2}


@pytest.mark.parametrize("name", sorted(rules.OWN_SETTINGS))
def test_our_own_settings_stay_here(name):
    report = Report()
    body = {"messages": [{"role": "user", "content": "x"}], name: "value", "top_k": 3}
    sent = prepare(body, FakeTarget(model="some-model"), report)
    assert name not in sent and sent["top_k"] == 3
    assert report.counts == {"parameter.own_settings": 1}
