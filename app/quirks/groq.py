"""Groq: what its strict reading of requests refuses; gpt-oss behind Groq is read by its host."""

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule
from app.quirks.tool_names import family_or_host

# gpt-oss is Groq's when it runs there: the rules look at the host.
FAMILIES = ("groq", "gpt-oss")
REASONING = ("reasoning", "reasoning_content", "reasoning_details")
FOREIGN = (*REASONING, "extra_content", "provider_specific_fields", "cache_control", "annotations", "refusal", "audio")
UNSUPPORTED = ("logprobs", "top_logprobs", "logit_bias")


def clean_history(body: dict, facts: Facts, note: Note) -> None:
    """`property 'reasoning_content' is unsupported`: the history may not hold reasoning, `name` or null fields
    (gptel#774, req_llm#772).
    """
    if family_or_host(facts) != "groq":
        return
    for position, message in enumerate(body["messages"]):
        names = [name for name in message if name in FOREIGN or name == "name" or message[name] is None]
        for name in names:
            if name == "content" and not message.get("tool_calls"):
                message[name] = ""
                continue
            note(f"messages[{position}].{name}", message.pop(name), None)
        for order, call in enumerate(message.get("tool_calls") or ()):
            for name in [name for name in call if name in FOREIGN]:
                note(f"messages[{position}].tool_calls[{order}].{name}", call.pop(name), None)


def drop_unsupported(body: dict, facts: Facts, note: Note) -> None:
    """`logprobs`, `logit_bias`, `top_logprobs` and n above 1 are a 400 (Groq's OpenAI compatibility page)."""
    if family_or_host(facts) != "groq":
        return
    for name in UNSUPPORTED:
        if name in body:
            note(name, body.pop(name), None)
            facts.dropped.append(name)
    if body.get("n", 1) != 1:
        note("n", body.pop("n"), None)
        facts.dropped.append("n")


def parse_reasoning(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning_format: raw` beside tools or JSON mode is a 400 (Groq's reasoning page); it becomes `parsed`."""
    if family_or_host(facts) != "groq" or body.get("reasoning_format") != "raw":
        return
    if body.get("tools") or body.get("response_format"):
        note("reasoning_format", "raw", "parsed")
        body["reasoning_format"] = "parsed"


RULES = (
    Rule("groq.history", "request", FAMILIES, clean_history),
    Rule("groq.parameters", "request", FAMILIES, drop_unsupported),
    Rule("groq.reasoning_format", "request", FAMILIES, parse_reasoning),
)
