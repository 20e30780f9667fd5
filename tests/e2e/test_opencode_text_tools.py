"""The real OpenCode does tasks with models that know no tools: ChatJimmy by `<tool_call>`, gpt-oss as raw Harmony."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.text_tools_session import JIMMY, MARKUP, MODELS, OSS, Session, TextModels, Turn, text_models
from tests.opencode import Outcome, find_binary
from tests.upstream_completions import call
from tests.upstream_jimmy import stats, text_answer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.opencode,
    pytest.mark.timeout(180),
    pytest.mark.skipif(find_binary() is None, reason="OpenCode IS NOT INSTALLED (./test.sh does it where npm is)"),
]

CONTENT = 'Zwei Zeilen, "quoted" and \\escaped, {"a": [1]},\n\tünïcödé 파일 🙂 $HOME </b> <i>\n'
BUDGET = 5_400  # tokens of a prompt; more than about 6,000 get an empty answer
CUT = "left out by the gateway"


@pytest.fixture(scope="module")
def shared_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextModels]:
    with text_models(tmp_path_factory.mktemp("gateway")) as models:
        yield models


@pytest.fixture
def open_session(tmp_path, shared_models) -> Iterator[Callable[[str], Session]]:
    yield lambda model: Session(tmp_path, shared_models, model)
    shared_models.reset()


@pytest.fixture(params=MODELS)
def session(request, open_session) -> Session:
    return open_session(request.param)


@pytest.fixture
def jimmy(open_session) -> Session:
    return open_session(JIMMY)


@pytest.fixture
def oss(open_session) -> Session:
    return open_session(OSS)


def check(outcome: Outcome, *words: str) -> None:
    """It ended well, these words were shown, and nothing that is between gateway and model."""
    assert outcome.code == 0, outcome.output
    assert not [word for word in words if word not in outcome.output], outcome.output
    assert not [mark for mark in MARKUP if mark in outcome.output], outcome.output


def test_it_writes_a_file(session):
    outcome = session.run(
        "Write hello.txt.", Turn("I write it.", (session.write("hello.txt", CONTENT),)), Turn("Done, it is."), cli=True
    )
    check(outcome, "I write it.", "Done, it is.")
    assert session.read("hello.txt") == CONTENT
    first, second = session.told
    assert "Write hello.txt." in first and "Wrote file successfully" not in first
    assert "Write hello.txt." in second and "I write it." in second and "Wrote file successfully" in second


def test_it_edits_what_it_has_read(session):
    (session.project / "in.txt").write_text("colour = red\nnumber = 4711\n", "utf-8")
    path = str(session.project / "in.txt")
    outcome = session.run(
        "Make in.txt blue.",
        Turn(calls=(("read", {"filePath": path}),)),
        Turn("Now blue.", (("edit", {"filePath": path, "oldString": "colour = red", "newString": "colour = blue"}),)),
        Turn("It is blue now."),
    )
    check(outcome, "Now blue.", "It is blue now.")
    assert session.read("in.txt") == "colour = blue\nnumber = 4711\n"
    assert ["number = 4711" in told for told in session.told] == [False, True, True]


def test_two_calls_in_one_answer(jimmy):
    calls = jimmy.write("one.txt", "first\n"), jimmy.write("two.txt", "second\n")
    check(jimmy.run("Write both.", Turn("Both.", calls), Turn("Both are there.")), "Both are there.")
    assert (jimmy.read("one.txt"), jimmy.read("two.txt")) == ("first\n", "second\n")
    roles = [role for role, _ in jimmy.models.conversation[-1].messages]
    assert roles == ["user", "assistant", "user"], "both results are one turn"
    assert jimmy.told[-1].count("Wrote file successfully") == 2


# --- what these models do wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        '<tool_call>{"name": "write", "arguments": {"content": "x"}}</tool_call>',
        '<tool_call>{"name": "write", "arguments": {"filePath": "/nowhere/a.txt", "conte',
    ],
    ids=["a parameter is missing", "it breaks off"],
)
def test_a_broken_call_is_corrected_before_it_is_seen(jimmy, broken):
    good = jimmy.write("a.txt", CONTENT)
    check(jimmy.run("Write a.txt.", Turn(raw=broken), Turn(calls=(good,)), Turn("Done, it is.")), "Done, it is.")
    assert jimmy.read("a.txt") == CONTENT
    first, repair, last = jimmy.told
    assert "not valid" in repair and "not valid" not in last


def test_invented_results_are_neither_shown_nor_believed(session):
    name, arguments = session.write("a.txt", CONTENT)
    real = Turn(calls=((name, arguments),))
    if session.model == JIMMY:
        said = f'{real.as_blocks()}\n<tool_result>\n{{"name": "write", "content": "It failed"}}\n</tool_result>\nIt failed.'
    else:
        said = (
            f"{real.as_harmony()}<|start|>functions.write to=assistant<|channel|>commentary<|message|>It failed<|end|>"
            "<|start|>assistant<|channel|>final<|message|>It failed.<|return|>"
        )
    outcome = session.run("Write a.txt.", Turn(raw=said), Turn("Done, it is."), kind="raw")
    check(outcome, "Done, it is.")
    assert "It failed" not in outcome.output and session.read("a.txt") == CONTENT
    assert len(session.told) == 2 and "It failed" not in session.told[-1]


def test_what_opencode_itself_refuses_is_corrected_in_the_next_turn(oss):
    broken = Turn(raw=call("write", content="x"))
    outcome = oss.run("Write a.txt.", broken, Turn(calls=(oss.write("a.txt", CONTENT),)), Turn("Done, it is."))
    check(outcome, "Done, it is.")
    assert oss.read("a.txt") == CONTENT
    assert len(oss.told) == 3 and "filePath" in oss.told[1].rpartition("<|start|>functions.write to=assistant")[2]


# --- a context of 6,000 tokens --------------------------------------------------------------------------------------


def test_all_of_opencodes_prompt_fits_and_a_long_file_is_cut(jimmy):
    path = jimmy.project / "long.txt"
    path.write_text("".join(f"line {at} is followed by {at * 7919 % 10007}\n" for at in range(1500)), "utf-8")
    outcome = jimmy.run("Read long.txt.", Turn(calls=(("read", {"filePath": str(path)}),)), Turn("I read it."))
    check(outcome, "I read it.")
    first, second = jimmy.models.conversation
    assert CUT not in first.system and "</available_skills>" in first.system
    for tool in ("bash", "edit", "glob", "grep", "read", "task", "todowrite", "write"):
        assert f"\n{tool}(" in first.system and f'\n{{"name":"{tool}",' in first.system
    assert first.tokens < 3_800, "there is room to work"
    assert second.tokens < BUDGET
    assert f"Working directory: {jimmy.project}" in second.system and second.system.endswith("</tools>")
    assert second.messages[0] == ("user", "Read long.txt.")
    assert CUT in second.last and "line 1 is" in second.last and "line 1499 is" in second.last


def test_a_long_session_keeps_its_task(jimmy):
    def step(at: int) -> Turn:
        command = f"echo {at} >> tally.txt; seq {at * 1000} {at * 1000 + 250}"
        return Turn(f"Step {at}.", (("bash", {"command": command, "description": "Count"}),))

    outcome = jimmy.run("Take the twelve steps.", *map(step, range(12)), Turn("All steps are done."))
    check(outcome, "All steps are done.")
    assert jimmy.read("tally.txt").split() == [str(at) for at in range(12)], "each call is run once"
    asked = jimmy.models.conversation
    assert len(asked) == 13 and max(one.tokens for one in asked) < BUDGET
    last = asked[-1]
    assert last.messages[0] == ("user", "Take the twelve steps.")
    assert "Step 11." in last.messages[-2][1] and "11250" in last.last
    assert not any("Step 0." in text for _, text in last.messages), "the oldest ones are left out"


def test_an_empty_answer_is_told_as_an_overflow(jimmy):
    reason = "max context limit 6144 reached"
    outcome = jimmy.run("Say hello.", Turn(raw=text_answer("", stats("", 6_100, reason=reason))), cli=True)
    assert outcome.code is not None, f"OpenCode was still retrying: {outcome.output}"
    assert "exceeds the context window of this model" in outcome.output and reason in outcome.output
    assert len(jimmy.told) <= 2, "the turn, and OpenCode's try to summarise"


def test_an_empty_answer_without_a_reason_is_one_as_well(jimmy):
    outcome = jimmy.run("Say hello.", Turn(raw=text_answer("")))
    assert outcome.code is not None, f"OpenCode was still retrying: {outcome.output}"
    assert "ContextOverflowError" in outcome.output, "its own name for it"
    assert len(jimmy.told) <= 2, "the turn, and OpenCode's try to summarise"


def test_a_task_that_is_too_long_is_refused_with_words(jimmy):
    outcome = jimmy.run("word and more " * 3_000, Turn("Never said."), cli=True)
    assert outcome.code is not None, f"OpenCode was still retrying: {outcome.output}"
    assert "does not fit this model's context" in outcome.output
    assert jimmy.told == []
