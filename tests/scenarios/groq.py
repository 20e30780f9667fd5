"""Scenarios about calls that Groq refuses (`tool_use_failed`): as a 400, as an error event, before and after words."""

from dataclasses import replace

from tests.scenarios.builder import Odd, answer_of, build_chunks, build_completion, stream_of
from tests.scenarios.table import ONE, TWO, Expect, Scenario, scenario
from tests.upstream_answers import Answer

FAILED = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."
NOT_MADE = "Tool choice is required, but model did not call a tool"
JSON = '{"name": "glob", "arguments": {"pattern": "**/*.py"}}'
TWICE = (
    '<function=write{"path": "a.txt", "content": "alpha"}</function>'
    '<function=write{"path": "b.txt", "content": "béta"}</function>'
)
HARMONY = '<|channel|>commentary to=functions.glob <|constrain|>json<|message|>{"pattern": "**/*.py"}<|call|>'
LEAKED = '{"name": "glob<|channel|>commentary", "arguments": {"pattern": "**/*.py"}}'
CODE = "import glob\nglob.glob('**/*.py')"

CALLED = Expect(calls=ONE, finish="tool_calls")
TOLD = Expect(error_status=400, error_code="tool_use_failed", error_says="Failed to call", max_requests=2)


def refused(generation: str, message: str = FAILED) -> dict:
    """Write Groq's error."""
    error = {"message": message, "type": "invalid_request_error", "code": "tool_use_failed"}
    return {"error": {**error, "failed_generation": generation}}


def event(generation: str, *before: dict, message: str = FAILED) -> Answer:
    """A stream that ends in Groq's error, named as Groq names it."""
    error = refused(generation, message)
    error["error"]["status_code"] = 400
    answer = stream_of([*before, error], done=False)
    return replace(answer, body=answer.body.replace(b'data: {"error"', b'event: error\ndata: {"error"'))


def rows(name: str, generation: str, expect: Expect) -> tuple[Scenario, ...]:
    """Write the rows of one generation: refused at once, and after the stream has begun."""
    at_once = answer_of(refused(generation), 400)
    thinking = [chunk for chunk in build_chunks("", (), Odd(reasoning="I think", reasoning_as="reasoning"))][:1]
    late = event(generation, *thinking)
    began = replace(expect, reasoning="I think", max_requests=1)
    return (
        scenario(f"refused_call:{name}", at_once, at_once, expect),
        scenario(f"refused_call_event:{name}", event(generation), (), expect),
        *([scenario(f"refused_call_late:{name}", late, (), began)] if expect.error_status is None else []),
    )


GROQ: tuple[Scenario, ...] = (
    *rows("json", JSON, CALLED),
    *rows("leaked_name", LEAKED, CALLED),
    *rows("harmony", HARMONY, CALLED),
    *rows("two", TWICE, Expect(calls=TWO, finish="tool_calls")),
    *rows("words", "I cannot do that.", Expect("I cannot do that.")),
    scenario("refused_call:code", answer_of(refused(CODE), 400), answer_of(refused(CODE), 400), TOLD),
    scenario("refused_call_event:code", event(CODE), (), TOLD),
    scenario(
        "refused_call:then_good",
        (answer_of(refused(CODE), 400), stream_of(build_chunks("", ONE))),
        (answer_of(refused(CODE), 400), answer_of(build_completion("", ONE))),
        replace(CALLED, max_requests=2, usage=(10, 5, 15)),
    ),
    scenario(
        "refused_call:not_made",
        event("", *build_chunks("Hello")[:2], message=NOT_MADE),
        (),
        Expect("Hello", max_requests=2),
        request={"tool_choice": "required"},
    ),
)
