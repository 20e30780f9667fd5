from app.quirks import groq as rules
from app.quirks.rule import Facts
from tests.quirks.targets import apply, facts

HISTORY = [
    {"role": "user", "content": "x", "name": "bob"},
    {
        "role": "assistant",
        "content": None,
        "reasoning": "r",
        "reasoning_content": "r",
        "refusal": None,
        "tool_calls": [{"id": "a", "extra_content": {}, "function": {"name": "f"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": None, "name": "f"},
]


def groq(host: str = "api.groq.com") -> Facts:
    return facts("openai/gpt-oss-20b")._replace(host=host, dropped=[])


def test_the_history_is_cleaned():
    body, places = apply(rules.clean_history, {"messages": HISTORY}, groq())
    assert body["messages"] == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert len(places) == 7
    again, places = apply(rules.clean_history, body, groq())
    assert again == body and places == []


def test_gpt_oss_elsewhere_keeps_its_reasoning():
    assert apply(rules.clean_history, {"messages": HISTORY}, groq("localhost")) == ({"messages": HISTORY}, [])


def test_parameters():
    known = groq()
    body, _ = apply(rules.drop_unsupported, {"logprobs": True, "logit_bias": {}, "n": 2, "seed": 1}, known)
    assert body == {"messages": [], "seed": 1}
    assert known.dropped == ["logprobs", "logit_bias", "n"]
    assert apply(rules.drop_unsupported, {"n": 1}, groq())[0] == {"messages": [], "n": 1}
    assert apply(rules.drop_unsupported, {"n": 2}, groq("localhost"))[1] == []


def test_raw_reasoning_beside_tools():
    raw = {"reasoning_format": "raw", "tools": [{}]}
    assert apply(rules.parse_reasoning, raw, groq())[0]["reasoning_format"] == "parsed"
    assert apply(rules.parse_reasoning, {"reasoning_format": "raw"}, groq())[1] == []
