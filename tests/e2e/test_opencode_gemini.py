"""The real OpenCode through a real gateway, before an upstream that refuses and answers as Gemini 3 behind a relay does."""

from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from tests.e2e.gemini_session import NAMES, Session, append, gateway_map, one_after_the_other, write
from tests.gateway import Gateway
from tests.maps import ENGINES, write_map
from tests.opencode import find_binary
from tests.scenarios.builder import Odd, build_chunks, build_completion
from tests.upstream import FakeUpstream
from tests.upstream_answers import Answer, json_answer, sse_answer
from tests.upstream_gemini import GEMINI_3, GeminiMode, Turn

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.opencode,
    pytest.mark.timeout(150),
    pytest.mark.skipif(find_binary() is None, reason="OpenCode IS NOT INSTALLED (./test.sh does it where npm is)"),
]

CONTENT = 'Zwei Dateien, "quoted" and \\escaped,\n\tünïcödé 파일 🙂\n'
TRIES = 2  # requests that OpenCode may send for one turn
CALLS = 4  # requests that the upstream may see for one turn: the gateway asks an unsound turn once more


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def strict_gateway(tmp_path_factory: pytest.TempPathFactory, shared_upstream: FakeUpstream) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    model_map = write_map(folder, gateway_map(shared_upstream.base_url))
    with Gateway(folder, OPENCODE_CONFIG=model_map) as gateway:
        yield gateway


@pytest.fixture
def open_session(tmp_path, strict_gateway, shared_upstream) -> Iterator[Callable[[str, str], Session]]:
    """Open a session with a model by the kind of its name and the engine behind it."""

    def start(name: str, engine: str) -> Session:
        return Session(tmp_path, strict_gateway, shared_upstream, NAMES[name].format(engine=engine))

    yield start
    shared_upstream.reset()


# --- the task -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "engine"), list(zip(NAMES, ENGINES, strict=True)))
def test_parallel_calls_over_three_turns(open_session, engine, name):
    session = open_session(name, engine)
    here = session.project
    gemini = GeminiMode(
        [
            Turn("Two files.", [write(here, "a.txt", CONTENT), write(here, "b.txt", "b\n")]),
            Turn(calls=[append("tally.txt", "one"), ("read", {"filePath": str(here / "a.txt")})]),
            Turn("All three files are there."),
        ]
    )
    session.upstream.reply_with(gemini)

    outcome = session.run("Write the files, then look at them.", cli=name == "family")

    assert outcome.code == 0, outcome.output
    assert (session.read("a.txt"), session.read("b.txt")) == (CONTENT, "b\n")
    assert session.read("tally.txt") == "one\n", "each call is run once"
    assert "All three files are there." in outcome.output
    assert gemini.refusals == []
    bodies = session.upstream.bodies
    assert {body["model"] for body in bodies} == {"gemini-3-flash-preview"}
    conversation = [body for body in bodies if body.get("tools")]
    assert len(conversation) == 3
    steps = [message for message in conversation[-1]["messages"] if message.get("tool_calls")]
    signatures = [step["tool_calls"][0]["extra_content"]["google"]["thought_signature"] for step in steps]
    assert len(gemini.issued) == 2 and set(signatures) == gemini.issued, "the upstream's own, not the dummy"
    assert all(obeyed for obeyed in gemini.obeyed_systems)
    results = [m["content"] for m in conversation[-1]["messages"] if m["role"] == "tool"]
    assert len(results) == 4 and "ünïcödé 파일 🙂" in results[-1]


@pytest.mark.parametrize("engine", ENGINES[-1:])
def test_a_refusal_is_shown_once(open_session, engine):
    session = open_session("company", engine)
    words = "This request is too strange, said the relay."
    session.upstream.reply_json([{"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}], 400)

    outcome = session.run("Say hello.")

    assert outcome.code is not None and words in outcome.output
    assert len(session.upstream.bodies) == session.client_requests == 1


# --- upstreams that end badly -------------------------------------------------------------------------------------


def gemini_stream(text: str = "", finish: str | None = "STOP", finish_at: str = "own") -> Answer:
    return sse_answer(build_chunks(text, odd=Odd(finish=finish, finish_at=finish_at)))


MALFORMED = gemini_stream("", "function_call_filter: MALFORMED_FUNCTION_CALL")
# id -> (what the upstream answers each time, a part of what the user must see)
ENDINGS: dict[str, tuple[Answer, str]] = {
    "STOP": (gemini_stream("Hello there."), "Hello there."),
    "STOP_empty": (gemini_stream(""), ""),
    "no_finish_chunk": (gemini_stream("Hello there.", finish_at="never"), "Hello there."),
    "empty_body": (sse_answer([], done=False), ""),
    "done_only": (sse_answer([]), ""),
    "json_instead_of_sse": (json_answer(build_completion("Hello there.")), "Hello there."),
    "malformed_call": (MALFORMED, "malformed"),
}


# What each engine makes of each ending is compared in test_scenarios_through_gateway.py: here they take turns.
@pytest.mark.parametrize(("ending", "engine"), list(zip(ENDINGS, cycle(ENGINES), strict=False)))
def test_no_ending_makes_it_ask_for_ever(open_session, ending, engine):
    answer, words = ENDINGS[ending]
    session = open_session("company", engine)
    session.upstream.reply(answer)

    outcome = session.run("Say hello.")

    assert outcome.code is not None, f"OpenCode was still retrying: {outcome.output}"
    assert words in outcome.output
    assert session.client_requests <= TRIES
    assert 1 <= len(session.upstream.bodies) <= CALLS
    assert outcome.output.strip(), "it ends in words"


# --- streams that are cut -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "engine"), list(zip(["", "Now I write. "], ENGINES, strict=True)), ids=["calls_only", "text_and_calls"]
)
def test_calls_of_a_cut_turn_are_never_run(open_session, engine, text):
    """OpenCode runs a call as soon as it parses, and repeats a turn that failed: one file was written 4 to 6 times."""
    session = open_session("company", engine)
    calls = [append("tally.txt", "one"), write(session.project, "a.txt", CONTENT)]
    whole = build_chunks(text, calls, GEMINI_3)
    cut = sse_answer(whole).cut_after(len(whole) - 1)  # both calls are complete, the end is missing
    gemini = GeminiMode([Turn(text, calls), Turn("Both are done.")])
    session.upstream.reply_with(one_after_the_other(cut, gemini))

    outcome = session.run("Write the files.")

    assert outcome.code == 0, outcome.output
    assert session.read("tally.txt") == "one\n", "each call is run once"
    assert session.read("a.txt") == CONTENT
    assert "Both are done." in outcome.output
    assert gemini.refusals == []
    assert len(session.upstream.bodies) == 3
