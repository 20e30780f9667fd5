"""What Google's OpenAI-compatible endpoint refuses, with the words it uses. Pure: a request body in, complaints out."""

import json
import re
from collections.abc import Iterator

SCHEMA_KEYS = frozenset(
    "type format description nullable enum items properties required minimum maximum anyOf propertyOrdering"
    " example".split()
)
BOUND_KEYS = frozenset("pattern minLength maxLength minItems maxItems minProperties maxProperties".split())
PARAMETERS = frozenset(
    "model messages tools tool_choice temperature top_p max_tokens max_completion_tokens n stop stream stream_options"
    " response_format reasoning_effort extra_body".split()
)
MESSAGE_KEYS = frozenset("role content name tool_calls tool_call_id extra_content".split())
FUNCTION_KEYS = frozenset("name description parameters".split())
TYPES = frozenset("string number integer boolean array object".split())
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
DUMMIES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
PROTO = "type.googleapis.com/google.ai.generativelanguage.v1beta"
BAD_NAME = (
    "[Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores"
    " (_), dots (.) or dashes (-), with a maximum length of 64.]"
)
INVALID = "Request contains an invalid argument."
COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the"
    " function call turn."
)
ORDER = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
ONLY_CALLS = "Please ensure that function response turn comes immediately after a function call turn."
JSON_MODE = "Function calling with a response mime type: 'application/json' is unsupported"


def unknown(name: str, place: str = "") -> str:
    at = f" at '{place}'" if place else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'


def schema_complaints(schema: object, place: str, bounds: bool = False) -> Iterator[str]:
    """Complain about keywords at schema positions; names of properties are no keywords. `bounds`: limits too."""
    if not isinstance(schema, dict):
        yield f"Invalid value at '{place}' ({PROTO}.Schema)"
        return
    allowed = SCHEMA_KEYS if bounds else SCHEMA_KEYS | BOUND_KEYS
    yield from (unknown(key, place) for key in schema if key not in allowed)
    kind = schema.get("type")
    if isinstance(kind, list):
        yield unknown("type", place).replace("Cannot find field", "Proto field is not repeating, cannot start list")
    elif kind is not None and str(kind).lower() not in TYPES:
        yield f"Invalid value at '{place}.type' ({PROTO}.Type), \"{kind}\""
    elif kind is None and "anyOf" not in schema:
        yield f"* GenerateContentRequest.{place}: must be specified when not using one_of, any_of or all_of."
    yield from _value_complaints(schema, place)
    for number, (_, value) in enumerate((schema.get("properties") or {}).items()):
        yield from schema_complaints(value, f"{place}.properties[{number}].value", bounds)
    if "items" in schema:
        yield from schema_complaints(schema["items"], f"{place}.items", bounds)
    for number, value in enumerate(schema.get("anyOf") or ()):
        yield from schema_complaints(value, f"{place}.any_of[{number}]", bounds)


def _value_complaints(schema: dict, place: str) -> Iterator[str]:
    kind = schema.get("type")
    for number, value in enumerate(schema.get("enum") or ()):
        if not isinstance(value, str):
            yield f"Invalid value at '{place}.enum[{number}]' (TYPE_STRING), {json.dumps(value)}"
        elif not value:
            yield f"* GenerateContentRequest.{place}.enum[{number}]: cannot be empty"
    if kind == "string" and schema.get("format", "enum") not in ("enum", "date-time"):
        yield f"* GenerateContentRequest.{place}.format: only 'enum' and 'date-time' are supported for STRING type"
    if kind == "object" and not schema.get("properties"):
        yield f"* GenerateContentRequest.{place}.properties: should be non-empty for OBJECT type"
    if kind == "array" and "items" not in schema:
        yield f"* GenerateContentRequest.{place}.items: missing field."
    for number, name in enumerate(schema.get("required") or ()):
        if name not in (schema.get("properties") or {}):
            yield f"* GenerateContentRequest.{place}.required[{number}]: property is not defined"


def tool_complaints(tools: list, bounds: bool = False) -> Iterator[str]:
    """Complain about declarations: their number, names, fields and schemas."""
    if len(tools) > 512:
        yield "The maximum number of function declarations is 512."
    for number, tool in enumerate(tools):
        place, function = f"tools[0].function_declarations[{number}]", tool.get("function") or {}
        yield from (unknown(key, f"tools[{number}]") for key in tool if key not in ("type", "function"))
        yield from (unknown(key, place) for key in function if key not in FUNCTION_KEYS)
        if not NAME.fullmatch(str(function.get("name", ""))):
            yield f"* GenerateContentRequest.{place}.name: {BAD_NAME}"
        if function.get("parameters") is not None:
            yield from schema_complaints(function["parameters"], f"{place}.parameters", bounds)


def parameter_complaints(body: dict) -> Iterator[str]:
    """Complain about top-level fields."""
    yield from (unknown(key) for key in body if key not in PARAMETERS)
    if body.get("n", 1) != 1:
        yield "Only one candidate can be specified in the current model."
    if "max_tokens" in body and "max_completion_tokens" in body:
        yield INVALID
    if body.get("reasoning_effort", "low") not in ("none", "minimal", "low", "medium", "high"):
        yield f"Invalid reasoning_effort: {body['reasoning_effort']}"


def message_complaints(messages: list[dict], *, name_required: bool = False) -> Iterator[str]:
    """Complain about single messages: unknown fields, empty parts, arguments, names."""
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        yield from (unknown(key, place) for key in message if key not in MESSAGE_KEYS)
        for part_number, part in enumerate(message["content"] if isinstance(message.get("content"), list) else ()):
            known = ("type", "text", "image_url", "input_audio")
            yield from (unknown(key, f"{place}.content[{part_number}]") for key in part if key not in known)
        if not message.get("content") and not message.get("tool_calls"):
            yield f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty."
        for call in message.get("tool_calls") or ():
            if not _is_object(call.get("function", {}).get("arguments")):
                yield INVALID
        if message["role"] == "tool" and name_required and not message.get("name"):
            yield INVALID


def _is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(text), dict) if isinstance(text, str) else False
    except ValueError:
        return False


def order_complaints(messages: list[dict]) -> Iterator[str]:
    """Complain about turns: contents at all, calls after a user or tool turn, one response for each call."""
    contents = [m for m in messages if m["role"] not in ("system", "developer")]
    if not contents:
        yield "* GenerateContentRequest.contents: contents is not specified"
    before, open_ids = None, None
    for number, message in enumerate([*contents, {"role": "end"}]):
        if message["role"] == "tool":
            if open_ids is None:
                yield ONLY_CALLS
            elif message.get("tool_call_id") not in open_ids:
                place = f"contents[{number}].parts[0].function_response.name"
                yield f"* GenerateContentRequest.{place}: Name cannot be empty."
            else:
                open_ids.remove(message["tool_call_id"])
            before = "tool"
            continue
        if open_ids:
            yield COUNT
        calls = message.get("tool_calls")
        if calls and before not in ("user", "tool"):
            yield ORDER
        open_ids, before = [c.get("id") for c in calls] if calls else None, message["role"]


def signature_complaints(messages: list[dict], issued: set[str], current_only: bool = False) -> Iterator[str]:
    """Complain about steps whose first call lacks its thought signature, or carries one that was never issued."""
    start = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=0) if current_only else 0
    for number, message in enumerate(messages):
        if number < start or not message.get("tool_calls"):
            continue
        call = message["tool_calls"][0]
        signature = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
        if not signature:
            yield (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work"
                " correctly, and missing thought_signature may lead to degraded model performance. Additional data,"
                f" function call `default_api:{call['function'].get('name')}` , position {number + 1}. Please refer to"
                " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
        elif signature not in issued and signature not in DUMMIES:
            yield "Corrupted thought signature."
