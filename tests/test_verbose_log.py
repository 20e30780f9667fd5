import io
import json
import logging
import re
from types import SimpleNamespace

import pytest
from flask import Flask, g

from app.log_filter import install_logging
from app.log_writer import LogWriter
from app.quirks.report import Report
from app.request_trace import init_app
from app.secret_book import SecretBook
from app.trace import Trace
from app.verbose_log import RULER, VerboseLog, format_line, is_verbose, open_log

CANARY = "canary-configured-key-0123456789"
CLIENT_KEY = "canary-client-key-9876543210"
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"of": name}}}
    for name in ("question", "bash", "read")
]
REQUEST = {"model": "local-model", "messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS, "stream": True}
TARGET = {
    "litellm_model": "openai/gemini-x",
    "engine_name": "litellm",
    "api_key": CANARY,
    "key_source": "env GEMINI_API_KEY",
}


def delta(text, **rest):
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, **rest}]}


class Log:
    """A log on a stream in memory, and the traces that write to it."""

    def __init__(self, verbose=True, language="en"):
        self.stream = io.StringIO()
        self.sink = VerboseLog(LogWriter(self.stream), verbose, language)

    def begin(self, path="/chat/completions"):
        return Trace("POST", path, SecretBook(lambda: (CANARY,)), [self.sink], [CLIENT_KEY], client="127.0.0.1")

    @property
    def text(self):
        return self.stream.getvalue()


def run(trace):
    trace.note("client_headers", {"Authorization": f"Bearer {CLIENT_KEY}"})
    trace.note("client_request", REQUEST)
    trace.note("resolved", TARGET)
    trace.note("upstream_request", REQUEST | {"model": "openai/gemini-x", "api_key": CANARY})
    trace.emitted(b": keep-alive\n\n")
    for chunk in (delta("Hel"), delta("lo", finish_reason="stop")):
        trace.raw([json.dumps(chunk).encode()])
        trace.emitted(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    trace.emitted(b"data: [DONE]\n\n")
    report = Report()
    report.note("finish-reason", "choices[0]", "stop", "tool_calls")
    trace.note("repairs", report)
    trace.finish(200)


ENGLISH = [
    "🚀 ENDPOINT CALLED: /chat/completions",
    "📥 REQUEST BODY (summary):",
    "🔧 Tools: 3 tools (only the first shown whole, the others by name)",
    "  [0] question (shown whole)",
    "  [1] bash",
    "  [2] read",
    "🎯 MODEL: local-model -> openai/gemini-x (litellm)",
    "🔵 LITELLM PARAMS (summary):",
    "🔑 API KEY: cana…6789 (from env GEMINI_API_KEY)",
    "🔵 Starting streaming response...",
    "📦 Chunk #1 (RAW):",
    "📤 Formatted Chunk #1:",
    'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}',
    "📦 Chunk #2 (RAW):",
    "📤 Formatted Chunk #2:",
    "📤 data: [DONE]",
    "✅ Streaming completed: 2 total chunks",
    "📤 FINAL RESPONSE (summary):",
    "🩹 REPAIRS: finish-reason=1",
    '  finish-reason at choices[0]: "stop" -> "tool_calls"',
]
KOREAN = [
    "🚀 ENDPOINT CALLED: /chat/completions",
    "📥 REQUEST BODY (요약):",
    "🔧 Tools: 3 tools (첫 번째만 전체 표시, 나머지는 name만)",
    "  [0] question (전체 표시됨)",
    "🔵 LITELLM PARAMS (요약):",
    "🔵 Starting streaming response...",
    "📦 Chunk #1 (RAW):",
    "📤 Formatted Chunk #1:",
    "✅ Streaming completed: 2 total chunks",
]


@pytest.mark.parametrize(("language", "wanted"), [("en", ENGLISH), ("ko", KOREAN)])
def test_the_verbose_log_is_as_described_and_in_order(language, wanted):
    log = Log(language=language)
    run(log.begin())
    position = 0
    for line in wanted:
        found = log.text.find("\n" + line, position)
        assert found >= 0, f"{line!r} is missing after {log.text[:position]!r}"
        position = found + 1


def test_banners_stand_between_rulers_of_eighty():
    log = Log()
    run(log.begin())
    lines = log.text.splitlines()
    for title in ("🚀 ENDPOINT CALLED", "🔵 LITELLM PARAMS"):
        place = next(number for number, line in enumerate(lines) if line.startswith(title))
        assert lines[place - 1] == lines[place + 1] == RULER == "=" * 80


def test_the_request_is_shown_as_json_with_its_first_tool_whole():
    log = Log()
    run(log.begin())
    shown = log.text.split("REQUEST BODY (summary):\n")[1]
    body, _ = json.JSONDecoder().raw_decode(shown)
    assert body == REQUEST | {"tools": [TOOLS[0], "bash", "read"]}


@pytest.mark.parametrize(("language", "ending"), [("en", "... (12000 characters in all)"), ("ko", "... (총 12000자)")])
def test_long_texts_are_cut_and_their_length_told(language, ending):
    log = Log(language=language)
    log.begin().note("client_request", {"model": "m", "messages": [{"content": "a" * 12_000}]})
    assert ending in log.text and "a" * 1_001 not in log.text


def test_a_whole_answer_is_shown_and_its_bytes_are_no_chunk():
    log = Log()
    trace = log.begin()
    trace.note("client_request", {"model": "m"})
    trace.note("answer", {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
    trace.emitted(b'{"choices": []}')
    trace.finish(200)
    assert "FINAL RESPONSE (summary)" in log.text and '"content": "Hello"' in log.text
    assert "Chunk" not in log.text and "Streaming completed" not in log.text


def test_an_error_shows_its_stack_behind_a_bar():
    log = Log()
    trace = log.begin()
    try:
        raise ValueError(f"first\n{RULER}\n🚀 ENDPOINT CALLED: /forged {CANARY}")
    except ValueError as error:
        trace.note("error", error)
    trace.finish(500)
    assert "❌ ERROR: first\\n=====" in log.text
    assert "\n  | Traceback (most recent call last):" in log.text
    assert "\n🚀" not in log.text and CANARY not in log.text


def test_without_a_key_the_log_says_so():
    log = Log()
    trace = log.begin()
    trace.note("resolved", {"model": "m", "engine_name": "mock", "api_key": None, "key_source": "none"})
    trace.note("upstream_request", {"model": "m"})
    assert "🔵 MOCK PARAMS (summary):" in log.text and "🔑 API KEY: none" in log.text


def test_lines_of_a_request_carry_its_id():
    log = Log()
    trace = log.begin()
    run(trace)
    for line in log.text.splitlines():
        if line.startswith(("📦", "📤", "✅")):
            assert line.endswith(f"[{trace.short_id}]")


HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202e \x9b31m \r\n" + RULER + "\n🚀 ENDPOINT CALLED: /forged"


def test_nothing_from_outside_steers_the_terminal_or_begins_a_line():
    log = Log()
    trace = log.begin("/" + HOSTILE)
    trace.describe(session=HOSTILE, user_agent=HOSTILE)
    trace.note(HOSTILE, {HOSTILE: HOSTILE})
    trace.note("client_request", {"model": HOSTILE, "stream": True, "tools": [{"function": {"name": HOSTILE}}] * 2})
    trace.note("resolved", {"model": HOSTILE, "engine_name": HOSTILE, "api_key": HOSTILE, "key_source": HOSTILE})
    trace.note("upstream_request", HOSTILE)
    trace.raw([json.dumps(delta(HOSTILE + "\ud800")).encode(), HOSTILE.encode()])
    trace.emitted(b"data: " + json.dumps(delta(HOSTILE)).encode() + b"\n\n")
    trace.emitted(b": " + HOSTILE.encode() + b"\n\n")
    trace.note("error", HOSTILE)
    trace.finish(200)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", log.text)
    assert log.text.count("\n🚀") + log.text.startswith("🚀") <= 1
    assert "\n🚀 ENDPOINT CALLED: /forged" not in log.text
    log.text.encode()


# --- one line -------------------------------------------------------------------------------------------------------


def test_without_anybody_looking_a_request_is_one_line():
    log = Log(verbose=False)
    trace = log.begin()
    trace.describe(session="session-1")
    run(trace)
    line = log.text
    assert line.count("\n") == 1 and line.endswith("\n")
    for part in (
        trace.id,
        "POST /chat/completions 127.0.0.1",
        "session=session-1",
        "local-model -> openai/gemini-x (litellm)",
        "200 stream",
        "finish=stop",
        "ttft=",
        "repairs[finish-reason=1]",
    ):
        assert part in line


def test_the_line_shows_tokens_and_the_first_line_of_an_error():
    summary = {
        "started": 0.0,
        "id": "req_1",
        "method": "POST",
        "path": "/x",
        "status": 502,
        "duration": 1.5,
        "prompt_tokens": 3,
        "completion_tokens": 0,
        "error": "first\nsecond",
    }
    line = format_line(summary)
    assert "in=3 out=0 1.500s error: first" in line and "second" not in line


def test_a_field_cannot_pass_for_another():
    summary = {
        "started": 0.0,
        "id": "r",
        "method": "GET",
        "path": "/x 200 in=5",
        "status": 404,
        "duration": 0.0,
        "model": "a\nb",
    }
    assert '"/x 200 in=5" - a\\nb 404' in format_line(summary)


# --- opening --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("verbose", "debug", "stream", "expected"),
    [
        (None, False, io.StringIO(), False),
        (None, True, io.StringIO(), True),
        (None, False, Terminal(), True),
        (True, False, io.StringIO(), True),
        (False, True, Terminal(), False),
        (None, False, None, False),
    ],
)
def test_when_the_log_is_verbose(verbose, debug, stream, expected):
    assert is_verbose(SimpleNamespace(verbose=verbose, debug=debug), stream) is expected


def test_the_log_goes_to_the_stream_and_to_the_file(tmp_path):
    path, stream = tmp_path / "gateway.log", io.StringIO()
    log = open_log(SimpleNamespace(verbose=True, debug=False, lang="ko", log_file=str(path)), stream)
    run(Trace("POST", "/chat/completions", SecretBook(lambda: (CANARY,)), [log]))
    assert "REQUEST BODY (요약)" in stream.getvalue()
    assert path.read_text(encoding="utf-8") == stream.getvalue()


# --- the canary -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [True, False])
def test_no_canary_is_printed_from_wherever_it_came(verbose, capsys, tmp_path):
    """Keys in settings, Authorization header, URL, upstream error text, chunks and traceback come in no output."""
    stream, path = io.StringIO(), tmp_path / "log"
    settings = SimpleNamespace(secrets=(CANARY,), verbose=verbose, debug=False, lang="en", log_file=str(path))
    app = Flask(__name__)
    init_app(app, SimpleNamespace(current=settings), [open_log(settings, stream)])

    @app.post("/chat/completions")
    def chat():
        g.trace.note("client_request", {"model": "m", "stream": True, "user": CLIENT_KEY})
        g.trace.note("resolved", TARGET)
        g.trace.note("upstream_request", {"api_key": CANARY, "api_base": f"https://u:{CANARY}@h/?key={CANARY}"})
        g.trace.raw([f'{{"error": {{"message": "API key {CANARY} is not valid"}}}}'.encode(), CLIENT_KEY.encode()])
        g.trace.emitted(b"data: " + json.dumps(delta(CANARY)).encode() + b"\n\n")
        logging.getLogger("some.library").warning("sent %s", {"Authorization": f"Bearer {CANARY}"})
        raise RuntimeError(f"{CANARY} refused for {CLIENT_KEY}")

    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    restore = install_logging(app.extensions["secret_book"].masker_for_all)
    try:
        app.test_client().post(
            f"/chat/completions?key={CLIENT_KEY}", headers={"Authorization": f"Bearer {CLIENT_KEY}"}
        ).close()
    finally:
        restore()
        logging.getLogger().removeHandler(handler)
    captured = capsys.readouterr()
    told = stream.getvalue() + path.read_text(encoding="utf-8") + captured.out + captured.err
    assert "RuntimeError" in told and "POST" in told
    assert CANARY not in told and CLIENT_KEY not in told
    assert "cana…6789" in told
