"""Groq: what its strict reading of requests refuses; gpt-oss behind Groq is read by its host."""

from app.quirks.families import GPT_OSS, family_of
from app.quirks.gemini_tools import move_json_to_prompt
from app.quirks.messages import text_of
from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.quirks.tool_names import family_or_host

# gpt-oss is Groq's when it runs there: the rules look at the host.
FAMILIES = ("groq", "gpt-oss")
MESSAGE_FIELDS = frozenset(("role", "content", "tool_calls", "tool_call_id", "function_call"))
CALL_FIELDS = frozenset(("id", "type", "function"))
PART_FIELDS = frozenset(("type", "text", "image_url", "document"))
TEXT_ROLES = ("system", "assistant", "tool")
UNSUPPORTED = ("logprobs", "top_logprobs", "logit_bias")

# What clients ask for -> what Groq takes: gpt-oss always thinks, Qwen only knows whether.
_LITTLE, _NONE = ("none", "off", "disabled", "minimal", "low"), ("none", "off", "disabled")
_MUCH = ("high", "xhigh", "max", "ultra")
OSS_EFFORTS = {**dict.fromkeys(_LITTLE, "low"), "medium": "medium", **dict.fromkeys(_MUCH, "high")}
QWEN_EFFORTS = {**dict.fromkeys((*_LITTLE, "medium", *_MUCH, "default"), "default"), **dict.fromkeys(_NONE, "none")}


def is_groq(facts: Facts) -> bool:
    """Tell whether a request goes to Groq, whatever the model is called."""
    return family_or_host(facts) == "groq"


def clean_history(body: dict, facts: Facts, note: Note) -> None:
    """`property 'reasoning_content' is unsupported`: the history may hold no reasoning, `name`, `channel`,
    `cache_control` or null fields (gptel#774, req_llm#772).

    Setting: options.messageFields lists fields to leave in.
    """
    if not is_groq(facts):
        return
    own = facts.options.get("messageFields")
    known = MESSAGE_FIELDS.union(map(str, own)) if isinstance(own, (list, tuple)) else MESSAGE_FIELDS
    for position, message in enumerate(body["messages"]):
        for name in [name for name in message if name not in known or message[name] is None]:
            if name == "content" and not message.get("tool_calls"):
                message[name] = ""
                continue
            note(f"messages[{position}].{name}", message.pop(name), None)
        for order, call in enumerate(message.get("tool_calls") or ()):
            for name in [name for name in call if name not in CALL_FIELDS]:
                note(f"messages[{position}].tool_calls[{order}].{name}", call.pop(name), None)


def plain_content(body: dict, facts: Facts, note: Note) -> None:
    """Content parts beside a user's are refused (`'messages.0.content' : value must be a string`, OpenHands#4643), and
    so are their foreign fields (`cache_control`).
    """
    if not is_groq(facts):
        return
    for position, message in enumerate(body["messages"]):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        if message["role"] in TEXT_ROLES:
            message["content"] = text_of(content)
        else:
            message["content"] = [
                {name: value for name, value in part.items() if name in PART_FIELDS} for part in content
            ]
        if message["content"] != content:
            note(f"messages[{position}].content", content, message["content"])


def drop_unsupported(body: dict, facts: Facts, note: Note) -> None:
    """`logprobs`, `logit_bias`, `top_logprobs` and n above 1 are a 400 (Groq's OpenAI compatibility page)."""
    if not is_groq(facts):
        return
    for name in UNSUPPORTED:
        if name in body:
            note(name, body.pop(name), None)
            facts.dropped.append(name)
    if body.get("n", 1) != 1:
        note("n", body.pop("n"), None)
        facts.dropped.append("n")


def known_effort(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning_effort` is low, medium or high for gpt-oss, none or default for Qwen (Groq's reasoning page; pi#1745);
    any other value is a 400, and so is `reasoning: {effort}`.

    Setting: options.reasoningEfforts maps further values, e.g. {"minimal": "medium"}.
    """
    if not is_groq(facts):
        return
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict):
        note("reasoning", body.pop("reasoning"), {"reasoning_effort": reasoning.get("effort")})
        if reasoning.get("effort"):
            body.setdefault("reasoning_effort", reasoning["effort"])
    given = body.get("reasoning_effort")
    efforts = efforts_of(facts)
    if given is None or not efforts:
        return
    own = facts.options.get("reasoningEfforts")
    effort = own.get(given) if isinstance(own, dict) and isinstance(given, str) else None
    effort = effort or efforts.get(str(given).lower())
    if effort == given:
        return
    note("reasoning_effort", body.pop("reasoning_effort"), effort)
    if effort:
        body["reasoning_effort"] = effort
    else:  # "default" of gpt-oss, or nothing that anybody knows
        facts.dropped.append("reasoning_effort")


def efforts_of(facts: Facts) -> dict[str, str]:
    """Return the efforts of a model, {} for one of which nothing is known."""
    if family_of(facts.model) == GPT_OSS:
        return OSS_EFFORTS
    return QWEN_EFFORTS if "qwen" in facts.model.lower() else {}


def parse_reasoning(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning_format: raw` beside tools or JSON mode is a 400 (Groq's reasoning page); it becomes `parsed`. So is
    `include_reasoning` beside a format; it is said by the format.
    """
    if not is_groq(facts) or "reasoning_format" not in body:
        return
    given = wanted = body["reasoning_format"]
    if given == "raw" and (body.get("tools") or body.get("response_format")):
        wanted = "parsed"
    if "include_reasoning" in body:
        included = body.pop("include_reasoning")
        wanted = "hidden" if included is False else wanted
        note("include_reasoning", included, None)
    if wanted != given:
        note("reasoning_format", given, wanted)
        body["reasoning_format"] = wanted


def json_beside_tools(body: dict, facts: Facts, note: Note) -> None:
    """JSON mode "cannot be combined with tool/function calling" (vercel/ai#16540, agno#1065): the schema goes into the
    system text.

    Setting: options.jsonWithTools true keeps both.
    """
    if is_groq(facts):
        move_json_to_prompt(body, facts, note)


def whole_json(body: dict, facts: Facts, note: Note) -> None:
    """"response_format does not support streaming" (litellm#4804, langchain#23629): the answer is asked for whole and
    streamed to the client.
    """
    response_format = body.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if is_groq(facts) and body.get("stream") and kind in ("json_object", "json_schema"):
        note("stream", True, False)
        body["stream"] = False
        body.pop("stream_options", None)


RULES = (
    Rule("groq.history", "request", FAMILIES, clean_history),
    Rule("groq.content", "request", FAMILIES, plain_content),
    Rule("groq.parameters", "request", FAMILIES, drop_unsupported),
    Rule("groq.reasoning_effort", "request", FAMILIES, known_effort),
    Rule("groq.reasoning_format", "request", FAMILIES, parse_reasoning),
    Rule("groq.json_beside_tools", "request", FAMILIES, json_beside_tools),
    Rule("groq.json_stream", "request", FAMILIES, whole_json),
)
