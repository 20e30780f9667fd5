"""Every scripted misbehaviour of an upstream, through the gateway: both engines, streamed and whole, cut at awkward places.

What a client gets is asserted twice: by `legal.read`, which knows what every answer must keep, and by the row's own
expectation of text, calls, finish reason, usage or error.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.engines import wire
from tests import legal, openai_schemas
from tests.maps import ENGINES, both_engines
from tests.scenarios import GEMINI, PLAIN_MODEL, SCENARIOS, Expect, Scenario
from tests.served import Served
from tests.upstream import FakeUpstream

MODES = ("stream", "stream_without_usage", "whole")
LARGE = 20_000  # bytes: larger streams are not cut to pieces of a few bytes

# Which repair the report must name, for rows that stand for a rule. In a stream only what came before its first chunk.
RULES = {
    "idx0": "stream.tool_index",
    "no_index": "stream.tool_index",
    "one_chunk": "stream.tool_calls",
    "empty_ids": "tool.id",
    "no_ids": "tool.id",
    "dup_ids": "tool.id",
    "args_object": "tool.arguments_object",
    "args_empty": "tool.arguments",
    "args_null": "tool.arguments",
    "default_api_colon": "tool.name",
    "default_api_dot": "tool.name",
    "finish_stop": "finish.tool_calls",
    "finish_STOP_with_calls": "finish.map",
    "gemini": "finish.tool_calls",
    "json_for_stream_calls": "stream.delta",
    "reasoning": "reasoning.name",
    "thought_tags": "reasoning.tags",
    "content_list": "stream.content",
    "usage_of_nulls": "usage.numbers",
    "usage_hidden_thinking": "usage.hidden_thinking",
    "no_usage": "usage.estimated",
    "finish_STOP": "finish.map",
    "no_finish": "finish.map",
    "finish_RECITATION_empty": "turn.filtered",
    "malformed_fc:MALFORMED_FUNCTION_CALL": "turn.malformed",
    "empty_stop": "turn.empty",
    "empty_then_good": "turn.retry",
    "cut_args_length": "tool.cut",
    "choices_null": "stream.choices",
    "empty_role": "stream.role",
    "refused_call:json": "groq.failed_generation",
    "refused_call_event:leaked_name": "groq.failed_generation",
    "refused_call:words": "groq.failed_generation",
    "refused_call:then_good": "turn.retry",
}
ONLY_WHOLE = {  # of a text the first piece is on its way before these are known
    "usage_of_nulls", "usage_hidden_thinking", "no_usage", "finish_STOP", "no_finish", "cut_args_length",
}  # fmt: skip
ONLY_STREAM = {"idx0", "no_index", "one_chunk", "json_for_stream_calls"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory, litellm_loaded: None) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("var")
    settings = both_engines(upstream.base_url, PLAIN_MODEL, GEMINI)
    with Served(settings, GATEWAY_DATA_DIR=str(folder), GATEWAY_REQUEST_TIMEOUT="20") as served:
        yield served
    wire.close_idle()


def play(gateway: Served, upstream: FakeUpstream, row: Scenario, engine: str, mode: str) -> tuple[legal.Answer, int]:
    """Play a row; return the answer, read and found legal, and how many requests the upstream saw."""
    streamed = mode != "whole"
    upstream.reply(*(row.stream if streamed else row.plain))
    body = row.request_body(f"{engine}/{row.model}", streamed)
    if mode == "stream_without_usage":
        body.pop("stream_options", None)
    before = len(upstream.requests)
    response = gateway.post("/v1/chat/completions", body)
    asked = "stream_options" in body
    return legal.read(response, streamed, asked), len(upstream.requests) - before


def faults(answer: legal.Answer, expect: Expect, requests: int) -> Iterator[str]:
    """List where an answer is not what a row expects."""
    if requests > expect.max_requests:
        yield f"{requests} requests"
    for name, value in expect.headers.items():
        if answer.headers.get(name) != value:
            yield f"header {name} is {answer.headers.get(name)}"
    if expect.error_status is not None:
        yield from error_faults(answer, expect)
        return
    if answer.error is not None:
        yield f"error {answer.status} {answer.error}"
        return
    for index, wanted in enumerate([expect, *([expect.second] if expect.second else [])]):
        yield from choice_faults(answer.choices.get(index, legal.Choice()), wanted)
    yield from usage_faults(answer.usage, expect)


def error_faults(answer: legal.Answer, expect: Expect) -> Iterator[str]:
    if answer.error is None:
        yield f"no error but {answer.choices}"
        return
    if answer.status != (expect.error_status or 200):
        yield f"status {answer.status}"
    said = answer.choices[0].text if answer.choices else ""
    if said != expect.text:
        yield f"text {said[-100:]!r}"
    if answer.choices and answer.choices[0].calls:
        yield "a call was let out of a turn that failed"
    for name in ("type", "code"):
        wanted = getattr(expect, f"error_{name}")
        if wanted and answer.error[name] != wanted:
            yield f"{name} {answer.error[name]}"
    if expect.error_says.lower() not in answer.error["message"].lower():
        yield f"message {answer.error['message']}"


def choice_faults(choice: legal.Choice, expect: Expect) -> Iterator[str]:
    if expect.says:
        if expect.says.strip("*").lower() not in choice.text.lower() or not choice.text:
            yield f"text {choice.text!r}"
    elif choice.text != expect.text:
        yield f"text {choice.text[-100:]!r}"
    if choice.reasoning != expect.reasoning:
        yield f"reasoning {choice.reasoning!r}"
    if choice.calls != list(expect.calls):
        yield f"calls {str(choice.calls)[:500]}"
    if choice.finish not in expect.finish.split("|"):
        yield f"finish {choice.finish}"


def usage_faults(usage: dict[str, Any] | None, expect: Expect) -> Iterator[str]:
    if usage is None:
        return
    counts = (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
    if expect.usage and counts != expect.usage:
        yield f"usage {counts}"
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if expect.reasoning_tokens is not None and thought != expect.reasoning_tokens:
        yield f"reasoning tokens {thought}"
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    if expect.cached_tokens is not None and cached != expect.cached_tokens:
        yield f"cached tokens {cached}"


def check(answer: legal.Answer, expect: Expect, requests: int) -> None:
    """Assert that the answer is one of the outcomes that the row allows."""
    allowed = [expect, *([expect.otherwise] if expect.otherwise else [])]
    found = [list(faults(answer, outcome, requests)) for outcome in allowed]
    assert [] in found, found


def played(modes: tuple[str, ...] = MODES) -> list[Any]:
    """List (row, mode) for each mode that a row has."""
    return [
        pytest.param(row, mode, id=f"{row.name}-{mode}")
        for row in SCENARIOS
        for mode in modes
        if (row.plain if mode == "whole" else row.stream)
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("row", "mode"), played())
def test_scenario(gateway: Served, upstream: FakeUpstream, row: Scenario, mode: str, engine: str) -> None:
    answer, requests = play(gateway, upstream, row, engine, mode)
    check(answer, row.expect_plain if mode == "whole" else row.expect, requests)
    rule = RULES.get(row.name)
    if rule and row.name not in (ONLY_STREAM if mode == "whole" else ONLY_WHOLE):
        assert rule in answer.repairs, answer.repairs


@pytest.mark.parametrize(("row", "_mode"), played(("stream",)))
def test_scenario_cut_anywhere(gateway: Served, upstream: FakeUpstream, row: Scenario, _mode: str) -> None:
    """Each stream in pieces of 1 to 7 bytes: inside characters, names, numbers and between CR and LF."""
    number = SCENARIOS.index(row)
    size = number % 7 + 1
    cut = [
        replace(said, cuts=list(range(size, len(said.body), size))) if len(said.body) < LARGE else said
        for said in row.stream
    ]
    engine = ENGINES[number % len(ENGINES)]
    answer, requests = play(gateway, upstream, replace(row, stream=tuple(cut)), engine, "stream")
    check(answer, row.expect, requests)


def test_rules_and_names_of_the_table_exist() -> None:
    from app.quirks.registry import all_rules

    assert set(RULES) <= {row.name for row in SCENARIOS}
    assert set(RULES.values()) <= {rule.id for rule in all_rules()}
    assert ONLY_WHOLE | ONLY_STREAM <= set(RULES)


def test_answers_are_validated_against_openais_schemas() -> None:
    openai_schemas.require()
