"""What is sent when the client says nothing."""

import copy

import pytest

from app.utils.defaults import with_defaults
from app.utils.model_resolver import resolve_model
from tests.answers import tool
from tests.conftest import settings_for


def fill(body, entry=None, **environ):
    settings = settings_for({"p": {"options": {"baseURL": "http://up.example/v1"}, "models": {"m": entry or {}}}}, **environ)
    before = copy.deepcopy(body)
    whole, filled = with_defaults(body, resolve_model("m", settings), settings)
    assert body == before, "the client's body is not written to"
    assert whole.pop("model") == (entry or {}).get("id", "m")
    return whole, filled


LIMITED = {"limit": {"output": 65_536, "context": 1_000_000}}
# (client's body, model's entry, environment, what is sent)
TABLE = {
    "nothing said": ({}, {}, {}, {"temperature": 0.7, "max_tokens": 1000}),
    "null says nothing": ({"temperature": None, "max_tokens": None}, {}, {}, {"temperature": 0.7, "max_tokens": 1000}),
    "the client's wins": ({"temperature": 0, "max_tokens": 5}, {}, {}, {"temperature": 0, "max_tokens": 5}),
    "the newer name counts": ({"max_completion_tokens": 5000}, {}, {}, {"temperature": 0.7, "max_completion_tokens": 5000}),
    "the model's limit": ({}, LIMITED, {}, {"temperature": 0.7, "max_tokens": 65_536}),
    "a limit of 0 is none": ({}, {"limit": {"output": 0}}, {}, {"temperature": 0.7, "max_tokens": 1000}),
    "the client below the limit": ({"max_tokens": 9}, LIMITED, {}, {"temperature": 0.7, "max_tokens": 9}),
    "the model's options": ({}, {"options": {"temperature": 0.1, "top_k": 4}}, {},
                            {"temperature": 0.1, "top_k": 4, "max_tokens": 1000}),
    "the client over the model's options": ({"temperature": 1}, {"options": {"temperature": 0.1}}, {},
                                            {"temperature": 1, "max_tokens": 1000}),
    "null under the model's options": ({"temperature": None}, {"options": {"temperature": 0.1}}, {},
                                       {"temperature": 0.1, "max_tokens": 1000}),
    "the AI SDK's spelling": ({}, {"options": {"reasoningEffort": "low"}}, {},
                              {"reasoning_effort": "low", "temperature": 0.7, "max_tokens": 1000}),
    "a model without temperature": ({}, {"temperature": False}, {}, {"max_tokens": 1000}),
    "a model with temperature": ({}, {"temperature": True}, {}, {"temperature": 0.7, "max_tokens": 1000}),
    "set elsewhere": ({}, {}, {"TEMPERATURE": "0.2", "MAX_TOKENS": "77"}, {"temperature": 0.2, "max_tokens": 77}),
    "none sends nothing": ({}, {}, {"TEMPERATURE": "none", "MAX_TOKENS": "none"}, {}),
    "none also where there is a limit": ({}, LIMITED, {"TEMPERATURE": "none", "MAX_TOKENS": "none"}, {}),
}


@pytest.mark.parametrize("name", TABLE)
def test_defaults(name):
    body, entry, environ, expected = TABLE[name]
    assert fill(body, entry, **environ)[0] == expected


@pytest.mark.parametrize(("body", "environ", "expected"), [
    ({"tools": [tool()]}, {}, "auto"),
    ({"tools": [tool()], "tool_choice": None}, {}, "auto"),
    ({"tools": [tool()], "tool_choice": "none"}, {}, "none"),
    ({"tools": [tool()]}, {"GATEWAY_TOOL_CHOICE": "required"}, "required"),
    ({"tools": [tool()]}, {"GATEWAY_TOOL_CHOICE": "none"}, None),
    ({"tools": []}, {}, None),
    ({}, {}, None),
])
def test_tool_choice_only_with_tools(body, environ, expected):
    assert fill(body, **environ)[0].get("tool_choice") == expected


def test_what_the_gateway_filled_is_told_apart_from_what_others_said():
    assert fill({"temperature": 1, "tools": [tool()]})[1] == {"max_tokens", "tool_choice"}
    assert fill({"max_tokens": 1}, {"options": {"temperature": 0}})[1] == set()


def test_the_upstreams_name_is_sent():
    assert fill({"model": "m"}, {"id": "vendor/real-name"})
