"""Gemini: the parts of a request that carry JSON Schemas, `tools` and `response_format`; the rewriting is
gemini_schema's.
"""

from functools import lru_cache

import orjson

from app.quirks.gemini_schema import PLACEHOLDER, Subset, Work, plain_parameters, plain_schema
from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.utils.schema import inline_refs

# A request's tools are the same in every turn of a session: 32 lists, none larger than 512 KB.
CACHED_LISTS = 32
CACHED_BYTES = 512 * 1024
MAX_NODES_A_REQUEST = 60_000

Changes = tuple[str, ...]


def plain_tools(body: dict, facts: Facts, note: Note) -> None:
    """Gemini refuses a request for one schema keyword it does not know: `$schema`, `additionalProperties`, `const`,
    `$ref` … (openswarm#24, unity-gateway#491).

    Settings: options.schemaKeep (keywords left in), options.schemaUnions ("anyof" or "first"),
    options.schemaEmptyObject ("placeholder", "string" or "keep"). The rewritten parameters are shared between
    requests: read them, do not write to them.
    """
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools:
        return
    rewritten = rewrite(tools, subset_for(facts))
    for position, (tool, changes) in enumerate(rewritten):
        if changes:
            note(f"tools[{position}]", changes, tool)
    body["tools"] = [
        tool if not changes else {**tool, "function": dict(tool["function"])} for tool, changes in rewritten
    ]


def subset_for(facts: Facts) -> Subset:
    """Read what this upstream takes from its options and from what it refused before."""
    options = facts.options
    refused = frozenset(name.removeprefix("tools:") for name in facts.learned if name.startswith("tools:"))
    unions = "first" if refused & {"anyOf", "any_of"} else str(options.get("schemaUnions", "anyof")).lower()
    keep = options.get("schemaKeep")
    return Subset(
        frozenset(str(keyword) for keyword in keep) if isinstance(keep, (list, tuple, set, frozenset)) else frozenset(),
        refused - {"type", "properties", "items", "anyOf", "any_of"},
        unions,
        str(options.get("schemaEmptyObject", "placeholder")).lower(),
    )


def rewrite(tools: list, subset: Subset) -> tuple[tuple[dict, Changes], ...]:
    """Return (tool, changes) for each tool, from the cache where these very tools were seen before."""
    try:
        text = orjson.dumps(tools)
    except TypeError:  # an integer beyond 64 bits, or nested too deep for orjson
        return rewrite_all(tools, subset)
    return rewrite_cached(text, subset) if len(text) <= CACHED_BYTES else rewrite_all(tools, subset)


@lru_cache(maxsize=CACHED_LISTS)
def rewrite_cached(text: bytes, subset: Subset) -> tuple[tuple[dict, Changes], ...]:
    return rewrite_all(orjson.loads(text), subset)


def rewrite_all(tools: list, subset: Subset) -> tuple[tuple[dict, Changes], ...]:
    nodes = max(64, MAX_NODES_A_REQUEST // len(tools))
    return tuple(rewrite_tool(tool, subset, nodes) for tool in tools)


def rewrite_tool(tool: object, subset: Subset, nodes: int) -> tuple[dict, Changes]:
    """Return the tool in Gemini's subset and the paths of the keywords that were changed."""
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or not isinstance(function, dict):
        return tool, ()  # type: ignore[return-value]  # not a function: told apart before this rule
    work = Work()
    plain = {keyword: function[keyword] for keyword in ("name", "description") if function.get(keyword) is not None}
    if "parameters" in function:
        parameters = plain_parameters(inline_refs(function["parameters"], nodes=nodes), subset, work)
        if parameters is not None:
            plain["parameters"] = parameters
        work.log({"parameters": function["parameters"]}, plain, "")
    rest = {k: v for k, v in function.items() if k != "parameters"}
    work.log(rest, plain, "function")
    work.log({k: v for k, v in tool.items() if k != "function"}, {"type": "function"}, "tool")
    if not work.changes and plain == function:
        return tool, ()
    return {"type": "function", "function": plain}, tuple(work.changes) or ("$ref",)


def plain_response_schema(body: dict, facts: Facts, note: Note) -> None:
    """Gemini reads the schema of `response_format` by the same subset as tools (google-api-python-client#2570)."""
    response_format = body.get("response_format")
    if not isinstance(response_format, dict):
        return
    named = response_format.get("json_schema")
    if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
        return
    work = Work()
    plain = plain_schema(inline_refs(named["schema"]), subset_for(facts), work)
    if plain == named["schema"]:
        return
    note("response_format.json_schema.schema", tuple(work.changes) or ("$ref",), plain)
    if plain.get("properties") == PLACEHOLDER:
        body["response_format"] = {"type": "json_object"}
    else:
        body["response_format"] = {**response_format, "json_schema": {**named, "schema": plain}}


def json_beside_tools(body: dict, facts: Facts, note: Note) -> None:
    """Gemini up to 2.5 refuses `response_format` beside tools: "Function calling with a response mime type … is
    unsupported" (python-genai#867).

    The schema goes into the system text instead. Setting: options.jsonWithTools true keeps both.
    """
    if facts.generation < 3:
        move_json_to_prompt(body, facts, note)


def move_json_to_prompt(body: dict, facts: Facts, note: Note) -> None:
    """Say in the system text what `response_format` says, where tools stand beside it."""
    response_format = body.get("response_format")
    if not isinstance(response_format, dict) or not body.get("tools"):
        return
    if response_format.get("type") not in ("json_object", "json_schema"):
        return
    if facts.options.get("jsonWithTools") is True:
        return
    del body["response_format"]
    facts.dropped.append("response_format")
    text = json_instruction(response_format)
    note("response_format", response_format, text)
    messages = body["messages"]
    if messages and messages[0].get("role") == "system" and isinstance(messages[0].get("content"), str):
        messages[0]["content"] = f"{messages[0]['content']}\n\n{text}"
    else:
        messages.insert(0, {"role": "system", "content": text})


def json_instruction(response_format: dict) -> str:
    """Write a `response_format` as an instruction in words."""
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    text = "When you give your final answer, write only one JSON object, without a code fence."
    if not isinstance(schema, dict):
        return text
    return f"{text} It must match this JSON Schema:\n{orjson.dumps(schema).decode()}"


RULES = (
    Rule("gemini.json_beside_tools", "request", ("gemini",), json_beside_tools),
    Rule("gemini.schema", "request", ("gemini",), plain_tools),
    Rule("gemini.response_schema", "request", ("gemini",), plain_response_schema),
)
