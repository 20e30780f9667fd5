"""`python -m app probe MODEL`: asks an upstream a few small things and says what it does differently from OpenAI.

The order of the questions and what each answer means stand here; how to ask, read and print stand beside it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app import probe_reading as reading
from app import quirks
from app.errors import GatewayError, ModelNotFound, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from app.probe_calls import OutOfCalls, Prober, Reply, new_call
from app.probe_refusals import PARAMETERS, SCHEMAS, blamed_keywords, blamed_parameters, find_refused, schema_of
from app.quirks.errors import map_upstream_error
from app.quirks.report import Report
from app.quirks.signatures import read_signature
from app.turn import Turn
from app.utils.model_resolver import Target, resolve_model

if TYPE_CHECKING:
    from app.config import Settings

SHORT, LONG = 16, 512  # tokens of an answer that is not read, and of one that is; thinking is paid out of it
FOR_REPAIRED = 4  # calls kept for the request that goes through the repairs
USER = {"role": "user", "content": "Say the word hello and nothing else."}
NAME = "get_weather"
FUNCTION = {
    "name": NAME,
    "description": "Return the weather of one city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOL = {"type": "function", "function": FUNCTION}
CITIES = {"role": "user", "content": "Call get_weather for Paris and for London, both calls in one answer, no text."}


class CannotProbe(Exception):
    """The upstream cannot be asked at all; `kind` is unreachable, key, model, address, refused or engine."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Finding:
    """One thing learned. `state`: ok as OpenAI does, odd otherwise, unknown."""

    name: str
    value: Any
    state: str = "ok"


@dataclass
class Result:
    """All that a probe learned."""

    target: Target
    findings: list[Finding] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)
    calls: int = 0

    def add(self, name: str, value: Any, good: bool | None = True) -> None:
        """Note a finding; `good` None: unknown."""
        self.findings.append(Finding(name, value, "unknown" if good is None else "ok" if good else "odd"))

    def value(self, name: str) -> Any:
        """Return what was found under a name, None if nothing was."""
        return next((finding.value for finding in self.findings if finding.name == name), None)


def find_target(model: str, url: str | None, settings: "Settings") -> Target:
    """Resolve `model`; with `url` any name may be asked for, at that address. Raises ModelNotFound, CannotProbe."""
    try:
        target = resolve_model(model, settings)
    except ModelNotFound:
        if not url:
            raise
        entry = {"options": {"baseURL": url}, "models": {model: {}}}
        target = resolve_model(model, settings.with_map({"provider": {"probe": entry}}))
    address = url or target.base_url
    if not address or not target.openai_dialect or target.engine_name not in ("litellm", "relay"):
        raise CannotProbe("engine", f"The model `{model}` is served by the engine {target.engine_name} as "
                          f"{target.litellm_model}; only endpoints that speak OpenAI's dialect can be probed.")
    return replace(target, base_url=address, engine_name="relay")


def probe(target: Target, settings: "Settings", sleep: Callable[[float], None] = time.sleep) -> Result:
    """Ask the upstream and return what it does. Raises CannotProbe when it cannot be asked at all."""
    prober, result = Prober(target, sleep), Result(target)
    ask_whole(prober, result)
    try:
        for question in (ask_stream, ask_tools, ask_second_turn, ask_roles, ask_schemas, ask_parameters, ask_error):
            question(prober, result)
    except OutOfCalls:
        result.add("calls", "no call was left for the rest", None)
    collect_rules(prober, result)
    ask_repaired(prober, result, settings)
    result.calls = prober.calls
    return result


def ask_whole(prober: Prober, result: Result) -> None:
    """Is it there, is the key right, does it know the model, does it count tokens that it does not show?"""
    reply = prober.ask(LONG, messages=[USER])
    if reply.refused and "max_completion_tokens" in reply.words:
        prober.cap = "max_completion_tokens"
        reply = prober.ask(LONG, messages=[USER])
    if reply.error is not None:
        raise cannot_probe(reply.error, prober.target)
    result.add("reachable", f"answered in {reply.seconds:.2f} s")
    result.add("name of the token limit", prober.cap, prober.cap == "max_tokens")
    hidden = reading.hidden_tokens(reply.chunks)
    result.add("hidden thinking tokens", hidden if hidden is not None else "no usage", None if hidden is None else not hidden)
    reasoning = reading.reasoning_field(reply.chunks)
    result.add("reasoning", reasoning or "none seen", not (reasoning or "").startswith("<"))
    finish = reading.finish_reasons(reply.chunks)
    result.add("finish reason", finish[-1] if finish else "none", bool(finish) and finish[-1] in reading.LEGAL_FINISH)


def cannot_probe(error: GatewayError, target: Target) -> CannotProbe:
    """Put into one plain sentence why the simplest request failed."""
    where = f"{target.base_url}"
    if isinstance(error, UpstreamUnreachable | UpstreamTimeout) or not isinstance(error, UpstreamError):
        return CannotProbe("unreachable", f"Cannot reach {where}: {error}")
    status = error.upstream_status
    if status is None or status < 400:
        return CannotProbe("address", f"{where} answers, but not as an OpenAI endpoint ({error}) Is the baseURL right?")
    told = map_upstream_error(status, error.upstream_headers or {}, error.upstream_body)
    if told.status in (401, 403):
        key = f"the key ({target.key_source})" if target.api_key else "requests without a key, and none is set"
        return CannotProbe("key", f"{where} refuses {key}: {told}")
    if told.code == "model_not_found":
        return CannotProbe("model", f"{where} does not know the model `{target.model}`: {told}")
    if status == 404:
        return CannotProbe("address", f"{where} has no chat/completions (HTTP 404): {told} Is the baseURL right?")
    return CannotProbe("refused", f"{where} refuses the simplest request (HTTP {status}): {told}")


def ask_stream(prober: Prober, result: Result) -> None:
    """Does it stream, how does the stream end, and where does usage stand?"""
    reply = prober.ask(LONG, messages=[USER], stream=True, stream_options={"include_usage": True})
    takes = not (reply.refused and "stream_options" in reply.words)
    result.add("stream_options", "taken" if takes else "refused", takes)
    plain = prober.ask(LONG, messages=[USER], stream=True)
    reply = reply if takes else plain
    if not reply.ok:
        result.add("streams", f"no: {reply.error}", False)
        return
    whole = reading.is_whole(reply.chunks)
    result.add("streams", "no: whole JSON instead of events" if whole else f"yes, {len(reply.chunks)} chunks", not whole)
    result.add("end of a stream", "[DONE]" if reply.done else "no [DONE]", reply.done)
    finish = reading.finish_reasons(reply.chunks)
    result.add("finish reasons of a stream", finish, len(finish) == 1 and finish[0] in reading.LEGAL_FINISH)
    place = reading.usage_place(reply.chunks)
    result.add("usage in a stream", place, place == "own chunk")
    if plain.ok and takes:
        unasked = reading.usage_place(plain.chunks)
        result.add("usage unasked", unasked, unasked == "none")


def ask_tools(prober: Prober, result: Result) -> None:
    """How do tool calls come: numbers, ids, pieces, several at once, finish reason?"""
    reply = prober.ask(LONG, messages=[CITIES], tools=[TOOL], stream=True)
    calls = reading.call_starts(reply.chunks)
    if not reply.ok or not calls:
        result.add("tool calls", f"refused: {reply.error}" if reply.error else "none seen", False if reply.error else None)
        return
    result.add("tool calls", f"yes, {reading.cut_habit(reply.chunks)}")
    result.add("parallel calls", len(calls) > 1 or "not seen", True if len(calls) > 1 else None)
    for name, habit in (("numbers of calls", reading.index_habit), ("ids of calls", reading.id_habit)):
        result.add(name, habit(reply.chunks), habit(reply.chunks) == "good")
    finish = reading.finish_reasons(reply.chunks)
    result.add("finish reason with calls", finish[-1] if finish else "none", finish[-1:] == ["tool_calls"])
    result.add("thought signatures sent", any(read_signature(call) for call in calls))


def ask_second_turn(prober: Prober, result: Result) -> None:
    """Does it want the thought signature back, and does the dummy do in its place?"""
    reply = prober.ask(SHORT, messages=second_turn(), tools=[TOOL])
    if reply.ok or not quirks.is_signature_error(reply.words):
        result.add("second turn", "taken" if reply.ok else f"refused: {reply.error}", reply.ok)
        result.add("thought signatures needed", False)
        return
    result.add("second turn", "refused without its thought signature", False)
    result.add("thought signatures needed", True, False)
    facts = quirks.facts_for(reply.body, prober.target, Report())
    history = quirks.with_dummy_signatures({"messages": second_turn()}, facts)["messages"]
    dummy = prober.ask(SHORT, messages=history, tools=[TOOL])
    result.add("dummy signature", "taken" if dummy.ok else "refused", dummy.ok)


def second_turn() -> list[dict[str, Any]]:
    """Return a history with one call and its result."""
    function = {"name": NAME, "arguments": '{"city": "Paris"}'}
    call = {"id": "call_probe1", "type": "function", "function": function}
    result = {"role": "tool", "tool_call_id": call["id"], "name": NAME, "content": "sunny"}
    return [CITIES, {"role": "assistant", "tool_calls": [call]}, result]


def ask_roles(prober: Prober, result: Result) -> None:
    """Is the role `developer` known, and are two system messages both obeyed?"""
    reply = prober.ask(SHORT, messages=[{"role": "developer", "content": "Be brief."}, USER])
    result.add("role developer", "taken" if reply.ok else "refused", reply.ok)
    systems = [{"role": "system", "content": f"Your answer must contain the word {word}."} for word in ("APPLE", "PEAR")]
    reply = prober.ask(LONG, messages=[*systems, USER])
    text = reading.text_of(reply.chunks).upper()
    obeyed = ("APPLE" in text, "PEAR" in text)
    said = {(True, True): "both obeyed", (False, True): "only the last seems to be obeyed",
            (True, False): "only the first seems to be obeyed"}.get(obeyed, "no telling")
    known = obeyed if reply.ok and any(obeyed) else None
    result.add("two system messages", said if reply.ok else f"refused: {reply.error}", None if not known else all(known))


def ask_schemas(prober: Prober, result: Result) -> None:
    """Which keywords in the schema of a tool does it refuse?"""

    def ask(group: Any) -> tuple[bool | None, set[str]]:
        reply = prober.ask(SHORT, messages=[USER], tools=[tool_with(group)])
        return taken(reply), blamed_keywords(group, reply.words)

    find(prober, result, "schema keywords", list(SCHEMAS), ask, 9)


def tool_with(keywords: list[str]) -> dict[str, Any]:
    """Return the tool with a schema that uses these keywords; its own where there are none."""
    return {"type": "function", "function": FUNCTION | ({"parameters": schema_of(keywords)} if keywords else {})}


def ask_parameters(prober: Prober, result: Result) -> None:
    """Which parameters does it refuse?"""

    def ask(group: Any) -> tuple[bool | None, set[str]]:
        reply = prober.ask(SHORT, messages=[USER], tools=[TOOL], **{name: PARAMETERS[name] for name in group})
        return taken(reply), blamed_parameters(group, reply.words)

    find(prober, result, "parameters", list(PARAMETERS), ask, 7)


def taken(reply: Reply) -> bool | None:
    """Return True for an answer, False for an objection, None for anything else."""
    return True if reply.ok else False if reply.refused else None


def find(prober: Prober, result: Result, what: str, names: list[str], ask: Any, questions: int) -> None:
    """Find out which of `names` are refused and note it; leave calls for what comes after."""
    verdict = find_refused(names, ask, min(questions, prober.left - FOR_REPAIRED - 1))
    result.add(f"{what} refused", verdict.refused, not verdict.refused)
    if verdict.unknown:
        result.add(f"{what} not told apart", verdict.unknown, None)


def ask_error(prober: Prober, result: Result) -> None:
    """What do its errors look like?"""
    refusals = [reply for reply in prober.replies if reply.refused]
    reply = refusals[0] if refusals else prober.ask(SHORT, messages="not a list")
    words = reply.words.lstrip()
    shape = "a JSON array" if words[:1] == "[" else "an object" if words[:1] == "{" else "no JSON"
    if not reply.refused:
        shape = "not seen"
    result.add("errors", shape, None if shape == "not seen" else shape == "an object")


def collect_rules(prober: Prober, result: Result) -> None:
    """Run the answers that came through the rules, to see which of them have work to do."""
    report = Report()
    for reply in prober.replies:
        if reply.ok:
            run_rules(reply, prober.target, report)
    result.rules |= report.counts
    if result.value("errors") == "a JSON array":
        result.rules.setdefault("error.array", 1)


def run_rules(reply: Reply, target: Target, report: Report) -> None:
    """Run one answer through the rules; what they make of it is not looked at."""
    call = new_call(target)
    call.saw_done = reply.done
    try:
        if not reply.body.get("stream"):
            quirks.repair(reply.chunks[0], reply.body, target, report, call, last_attempt=True)
            return
        for _ in quirks.repair_stream([reply.chunks], reply.body, target, report, call, last_attempt=True):
            pass
    except UpstreamError as error:
        report.note("turn.truncated", "stream", None, str(error))


def ask_repaired(prober: Prober, result: Result, settings: "Settings") -> None:
    """Send all that was refused once more, as an agent would, through the repairs: does it get through?"""
    if prober.left < FOR_REPAIRED:
        result.add("with repairs", "no call was left to try", None)
        return
    keywords, parameters = (result.value(f"{what} refused") or [] for what in ("schema keywords", "parameters"))
    system = {"role": "system", "content": "Be brief."}
    body = {"model": prober.target.requested, "messages": [system, system, *second_turn()], "tools": [tool_with(keywords)],
            "max_tokens": LONG, "stream": True, "stream_options": {"include_usage": True},
            **{name: PARAMETERS[name] for name in parameters}}
    report = Report()
    try:
        for _ in Turn(body, prober.target, settings, new_call(prober.target), report, {}).stream():
            pass
        result.add("with repairs", "an agent's request with all that was refused gets through")
    except GatewayError as error:
        result.add("with repairs", f"still refused: {error}", False)
    prober.calls += 1 + report.counts.get("turn.retry", 0)
    for rule, number in report.counts.items():
        result.rules[rule] = result.rules.get(rule, 0) + number
