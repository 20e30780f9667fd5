"""Gemini: which top-level parameters its OpenAI-compatible endpoint takes, and the clamps on effort, thinking and
tokens.
"""

from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

FAMILIES = ("gemini",)
ALLOWED = frozenset(
    """model messages tools tool_choice temperature top_p max_tokens max_completion_tokens stop stream stream_options
    response_format reasoning_effort extra_body""".split()
)
# Gemini's own options as clients write them at the top level; the endpoint wants the literal key extra_body.
OWN = {"thinking_config": "thinking_config", "thinkingConfig": "thinking_config", "cached_content": "cached_content"}
EFFORTS = {
    "none": "none",
    "off": "none",
    "disabled": "none",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
    "ultra": "high",
}
LEVELS = ("thinking_level", "thinkingLevel", "thinking_budget", "thinkingBudget")
THINKS_SINCE = 2.5


def wrap_own(body: dict, facts: Facts, note: Note) -> None:
    """Gemini's own options belong into the literal key `extra_body`; LiteLLM flattens it and a top-level `google` is
    refused (400).
    """
    if not facts.openai_dialect:
        return
    google = body.get("google")
    own = dict(google) if isinstance(google, dict) else {}
    own |= {inner: body[name] for name, inner in OWN.items() if isinstance(body.get(name), (dict, str))}
    if not own:
        return
    given = body.get("extra_body")
    extra = dict(given) if isinstance(given, dict) else {}
    inner = extra.get("google")
    extra["google"] = {**own, **(inner if isinstance(inner, dict) else {})}
    for name in ("google", *OWN):
        if name in body:
            note(name, body.pop(name), "extra_body.google")
    body["extra_body"] = extra


def unwrap_reasoning(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning: {effort}` (OpenRouter, Responses) is refused; its effort goes on as `reasoning_effort`."""
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if isinstance(effort, str) and effort and "reasoning_effort" not in body:
        note("reasoning", body.pop("reasoning"), {"reasoning_effort": effort})
        body["reasoning_effort"] = effort


def clamp_effort(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning_effort` knows none, minimal, low, medium, high: `xhigh` and `max` become high, `none` only works on
    2.5 without Pro.

    Setting: options.reasoningEfforts maps further values, e.g. {"minimal": "low"}.
    """
    given = body.get("reasoning_effort")
    if given is None or not facts.openai_dialect:
        return
    if not thinks(facts):
        note("reasoning_effort", body.pop("reasoning_effort"), None)
        facts.dropped.append("reasoning_effort")
        return
    own = facts.options.get("reasoningEfforts")
    effort = EFFORTS.get(str(given).lower(), "high" if isinstance(given, str) else "medium")
    if effort == "none" and (facts.generation >= 3 or "pro" in facts.model.lower()):
        effort = "low"
    if isinstance(own, dict):
        effort = str(own.get(effort, effort))
    if effort != given:
        note("reasoning_effort", given, effort)
        body["reasoning_effort"] = effort


def thinks(facts: Facts) -> bool:
    """Tell whether the model can think at all ("Thinking is not enabled for models/…", lobehub#7686)."""
    return facts.generation >= THINKS_SINCE


def one_thinking_setting(body: dict, facts: Facts, note: Note) -> None:
    """`reasoning_effort` and a thinking level or budget "can't be used at the same time": effort stays,
    include_thoughts stays.

    On models that do not think the whole `thinking_config` goes (400 "Thinking is not enabled", lobehub#7686).
    """
    extra = body.get("extra_body")
    google = extra.get("google") if isinstance(extra, dict) else None
    config = google.get("thinking_config", google.get("thinkingConfig")) if isinstance(google, dict) else None
    if not isinstance(config, dict) or not isinstance(google, dict) or not isinstance(extra, dict):
        return
    removed = tuple(config) if not thinks(facts) else LEVELS if "reasoning_effort" in body else ()
    kept = {name: value for name, value in config.items() if name not in removed}
    if kept == config:
        return
    note("extra_body.google.thinking_config", config, kept)
    rest = {name: value for name, value in google.items() if name not in ("thinking_config", "thinkingConfig")}
    google = rest | ({"thinking_config": kept} if kept else {})
    extra = {name: value for name, value in extra.items() if name != "google"} | ({"google": google} if google else {})
    if extra:
        body["extra_body"] = extra
    else:
        del body["extra_body"]


def plain_temperature(body: dict, facts: Facts, note: Note) -> None:
    """Gemini 3 below temperature 1 "may lead to looping" (langchain-google#1882): the gateway's own default is not
    sent, the client's value is.

    Setting: options.temperature "default" (this), "drop" (never send one below 1) or "keep".
    """
    setting = facts.options.get("temperatureOn3", "default")
    value = body.get("temperature")
    if facts.generation < 3 or setting == "keep" or not isinstance(value, (int, float)):
        return
    if "temperature" in facts.defaulted or setting == "drop" and value < 1:
        note("temperature", body.pop("temperature"), None)
        if "temperature" not in facts.defaulted:
            facts.dropped.append("temperature")


def room_for_thinking(body: dict, facts: Facts, note: Note) -> None:
    """Thinking is paid out of max_tokens: a cap of 500 gave 478 tokens of thoughts and 18 of text (hindsight#3365;
    titles broken, hermes-agent#91927).

    A cap of at most options.smallMaxTokens (default 512) without an effort of the client's gets the least effort
    that the model knows; options.maxTokensFloor (default 0, off) raises smaller caps to itself.
    """
    name = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    cap = body.get(name)
    if not isinstance(cap, int) or isinstance(cap, bool) or not thinks(facts) or not facts.openai_dialect:
        return
    floor = facts.options.get("maxTokensFloor")
    if isinstance(floor, int) and cap < floor:
        note(name, cap, floor)
        body[name] = cap = floor
    small = facts.options.get("smallMaxTokens", 512)
    if isinstance(small, int) and cap <= small and "reasoning_effort" not in body and "extra_body" not in body:
        body["reasoning_effort"] = "low" if facts.generation >= 3 or "pro" in facts.model.lower() else "none"
        note("reasoning_effort", None, body["reasoning_effort"])


def allow_known(body: dict, facts: Facts, note: Note) -> None:
    """A parameter that the endpoint does not know refuses the request: `Unknown name "store": Cannot find field.`
    (magentic#382, ChatterUI#227).

    Setting: options.parameters lists further names to let through (`seed`, `frequency_penalty`, `n` …).
    """
    if not facts.openai_dialect:
        return
    extra = facts.options.get("parameters")
    more = frozenset(map(str, extra)) if isinstance(extra, (list, tuple, set, frozenset)) else frozenset()
    for name in [name for name in body if name not in ALLOWED and name not in more]:
        note(name, body.pop(name), None)
        facts.dropped.append(name)


RULES = (
    Rule("gemini.extra_body", "request", FAMILIES, wrap_own),
    Rule("gemini.reasoning", "request", FAMILIES, unwrap_reasoning),
    Rule("gemini.reasoning_effort", "request", FAMILIES, clamp_effort),
    Rule("gemini.thinking_overlap", "request", FAMILIES, one_thinking_setting),
    Rule("gemini.temperature", "request", FAMILIES, plain_temperature),
    Rule("gemini.max_tokens", "request", FAMILIES, room_for_thinking),
    Rule("gemini.parameters", "request", FAMILIES, allow_known),
)
