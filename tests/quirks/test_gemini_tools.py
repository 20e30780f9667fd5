import pytest

from app.quirks.gemini_tools import (
    json_beside_tools,
    plain_response_schema,
    plain_tools,
    rewrite_cached,
    subset_for,
)
from tests.quirks.targets import apply, facts

PARAMETERS = {"type": "object", "$schema": "x", "properties": {"a": {"type": "string", "minLength": 1}}}
PLAIN = {"type": "object", "properties": {"a": {"type": "string", "description": "(minLength: 1)"}}}


def tool(parameters: object, **more: object) -> dict:
    return {"type": "function", "function": {"name": "f", "description": "d", "parameters": parameters, **more}}


def test_tools_are_rewritten_and_told():
    body, places = apply(plain_tools, {"tools": [tool(PARAMETERS, strict=True), tool(PLAIN)]})
    assert body["tools"] == [tool(PLAIN), tool(PLAIN)]
    assert places == ["tools[0]"]


@pytest.mark.parametrize("parameters", [{"type": "object", "properties": {}}, {"type": "object"}, None, "junk", {}])
def test_a_tool_without_parameters_has_none(parameters):
    body, _ = apply(plain_tools, {"tools": [tool(parameters)]})
    assert body["tools"] == [{"type": "function", "function": {"name": "f", "description": "d"}}]


def test_the_same_tools_are_rewritten_once():
    rewrite_cached.cache_clear()
    for _ in range(3):
        body, _ = apply(plain_tools, {"tools": [tool(PARAMETERS)]})
        body["tools"][0]["function"]["name"] = "changed"  # must not reach the next request
    assert apply(plain_tools, {"tools": [tool(PARAMETERS)]})[0]["tools"][0]["function"]["name"] == "f"
    assert (rewrite_cached.cache_info().misses, rewrite_cached.cache_info().hits) == (1, 3)


@pytest.mark.parametrize("value", [2**70, float("nan")])
def test_tools_that_cannot_be_hashed_are_rewritten_all_the_same(value):
    body, _ = apply(plain_tools, {"tools": [tool({"type": "object", "properties": {"a": {"maximum": value}}})]})
    assert "maximum" not in body["tools"][0]["function"]["parameters"]["properties"]["a"]


def test_tools_nested_very_deep_end_somewhere():
    schema: dict = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"x": schema}}
    body, places = apply(plain_tools, {"tools": [tool(schema)]})
    assert places == ["tools[0]"] and body["tools"][0]["function"]["parameters"]["type"] == "object"


def test_an_upstreams_options_and_what_it_refused():
    subset = subset_for(
        facts(schemaKeep=["pattern"], schemaUnions="FIRST")._replace(learned=frozenset({"tools:nullable", "x"}))
    )
    assert (subset.keep, subset.drop, subset.unions) == ({"pattern"}, {"nullable"}, "first")
    assert subset_for(facts()._replace(learned=frozenset({"tools:any_of"}))).unions == "first"


def test_response_schemas_are_rewritten():
    given = {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": {**PARAMETERS, "additionalProperties": False}},
    }
    body, places = apply(plain_response_schema, {"response_format": given})
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": PLAIN},
    }
    assert places == ["response_format.json_schema.schema"]
    free = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    assert apply(plain_response_schema, {"response_format": free})[0]["response_format"] == {"type": "json_object"}
    for other in ({"type": "text"}, {"type": "json_object"}, "junk", None, {"json_schema": {"schema": 3}}):
        assert apply(plain_response_schema, {"response_format": other})[0]["response_format"] == other


@pytest.mark.parametrize(
    ("model", "options", "kept"),
    (("gemini-2.5-flash", {}, False), ("gemini-3-pro", {}, True), ("gemini-2.5-pro", {"jsonWithTools": True}, True)),
)
def test_json_beside_tools(model, options, kept):
    given = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    request = {
        "tools": [tool(PLAIN)],
        "response_format": given,
        "messages": [{"role": "system", "content": "Be brief."}],
    }
    body, places = apply(json_beside_tools, request, facts(model, **options))
    assert ("response_format" in body) is kept
    assert kept or '{"type":"object"}' in body["messages"][0]["content"].removeprefix("Be brief.\n\n")
    assert places == ([] if kept else ["response_format"])


def test_json_beside_tools_without_a_system_message():
    request = {
        "tools": [tool(PLAIN)],
        "response_format": {"type": "json_object"},
        "messages": [{"role": "user", "content": "x"}],
    }
    body, _ = apply(json_beside_tools, request, facts("gemini-2.5-flash"))
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
