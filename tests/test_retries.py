"""What is asked again after a refused call; how often, and what the client is told, is tested through the gateway."""

import json
from typing import Any

import pytest

from app import retries
from app.errors import UpstreamError
from app.quirks.report import Report

NONE = {"tools": [{"type": "function", "function": {"name": "read"}}], "tool_choice": "none"}


def refusal(message: str, code: str = "tool_use_failed") -> UpstreamError:
    body = {"error": {"message": message, "code": code, "failed_generation": "x"}}
    return UpstreamError("refused", upstream_status=400, upstream_body=json.dumps(body).encode())


class Engine:
    """Answers, or raises."""

    def __init__(self, answer: dict[str, Any] | UpstreamError) -> None:
        self.answer = answer

    def complete(self, body: object, target: object, call: object) -> dict[str, Any]:
        if isinstance(self.answer, UpstreamError):
            raise self.answer
        return self.answer


def ask(answer: Any) -> Any:
    return retries.ask(Engine(answer), {}, None, None)  # type: ignore[arg-type]


def test_only_a_refused_call_is_returned():
    refused, other = refusal("m"), refusal("m", "invalid_request")
    assert ask({"choices": []}) == {"choices": []}
    assert ask(refused) is refused
    with pytest.raises(UpstreamError):
        ask(other)
    assert retries.is_refused_call(refused) and not retries.is_refused_call(other)


@pytest.mark.parametrize(
    ("message", "body", "options", "modes", "expected"),
    (
        ("Tool choice is none, but model called a tool", NONE, {}, {}, retries.TOOLS_ALLOWED),
        ("Tool choice is none, but model called a tool", NONE | {"tool_choice": "auto"}, {}, {}, None),
        ("Tool choice is none, but model called a tool", {}, {}, {}, None),
        ("Tool choice is none, but model called a tool", NONE, {"toolChoiceNone": "keep"}, {}, None),
        ("Tool choice is none, but model called a tool", NONE, {}, {"groq": "off"}, None),
        ("Tool choice is none, but model called a tool", NONE, {}, {"groq.tool_choice_none": "warn"}, None),
        ("Failed to call a function.", NONE, {}, {}, None),
    ),
)
def test_when_tools_are_allowed(message, body, options, modes, expected):
    assert retries.reason_to_allow(refusal(message), body, options, modes) == expected


def test_a_body_with_its_tools_allowed():
    report = Report()
    assert retries.with_tools_allowed(NONE, report) == NONE | {"tool_choice": "auto"}
    assert report.counts == {"groq.tool_choice_none": 1} and NONE["tool_choice"] == "none"
