"""`python -m app generate`: the answer on stdout, everything else on stderr, and exit codes that scripts can use."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.answers import completion
from tests.conftest import provider_at
from tests.gateway import ROOT, clean_environ

KEY = "canary-key-0123456789-abcdef"


def script(**step):
    return "mock-script: " + json.dumps({"turns": [step]})


@pytest.fixture
def generate(run):
    """Ask the mock model; `step` is what it does."""

    def generate(*options, **step):
        return run("generate", "mock", "--prompt", script(**step), *options)

    return generate


def test_the_answer_is_on_stdout_and_ends_with_a_newline(generate):
    done = generate(text="Hi there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hi there\n", "")


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_whole_and_in_pieces_it_is_the_same(generate, option):
    assert generate(option, text="one two\nthree\n").stdout == "one two\nthree\n"


def test_the_prompt_may_come_from_standard_input(run):
    assert run("generate", "mock", "--prompt", "-", stdin="from a pipe\n").stdout == "from a pipe\n"
    empty = run("generate", "mock", "--prompt", "-", stdin="")
    assert empty.returncode == 2 and "--prompt" in empty.stderr


def test_what_is_sent(run, upstream, tmp_path):
    config = tmp_path / "opencode.json"
    config.write_text(json.dumps({"provider": {"up": provider_at(upstream.base_url, "relay")}}), "utf-8")
    upstream.reply_json(completion("Paris"))
    options = ("--system", "Be brief.", "--no-stream")
    done = run("generate", "--prompt", "Capital of France?", *options, OPENCODE_CONFIG=str(config))
    assert done.stdout == "Paris\n", done.stderr
    sent = upstream.bodies[0]
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"},
    ]  # fmt: skip
    assert (sent["max_tokens"], sent["temperature"], sent["model"]) == (100, 0.7, "some-model")


def test_json_is_one_object(generate):
    answer = json.loads(generate("--json", text="Hi there", reasoning="Hmm").stdout)
    assert answer["text"] == "Hi there" and answer["reasoning"] == "Hmm" and answer["finish_reason"] == "stop"
    assert answer["model"] == "mock" and answer["upstream"] == "mock/mock" and answer["engine"] == "mock"
    assert answer["usage"]["completion_tokens"] > 0 and answer["seconds"] >= 0


def test_json_as_a_stream_is_a_line_for_each_piece(generate):
    *tokens, last = map(json.loads, generate("--json", "--stream", text="Hi there you").stdout.splitlines())
    assert [token["token"] for token in tokens] == ["Hi ", "there ", "you"]
    assert last["done"] is True and last["finish_reason"] == "stop" and last["usage"]["completion_tokens"] > 0


def test_verbose_tells_on_stderr_what_happened(generate):
    done = generate("-v", text="Hi", reasoning="Hmm \x1b[31m")
    assert done.stdout == "Hi\n"
    assert "mock -> mock/mock" in done.stderr and "thoughts: Hmm" in done.stderr and "\x1b" not in done.stderr
    assert "tokens in" in done.stderr and "finish reason stop" in done.stderr


# --- failures -------------------------------------------------------------------------------------------------------


def test_an_unknown_model_fails_with_1(run):
    done = run("generate", "nosuch", "--prompt", "x")
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("Error: The model `nosuch` does not exist")


@pytest.mark.parametrize("options", [("--json",), ("--json", "--stream")], ids=str)
def test_an_error_is_json_too(generate, options):
    done = generate(*options, error={"status": 429, "message": "slow down"})
    said = json.loads(done.stdout)
    assert done.returncode == 1 and "slow down" in said["error"]["message"] and said["model"] == "mock"
    assert "slow down" in done.stderr and "Traceback" not in done.stderr


def test_an_answer_that_breaks_off_keeps_what_came(generate):
    done = generate(text="one two three", error_after=2, error={"message": "gone \x1b[31m"})
    assert done.returncode == 1 and done.stdout.startswith("one") and done.stdout.endswith("\n")
    assert "gone" in done.stderr and "\x1b" not in done.stderr


def test_a_pipe_that_closes_ends_it_without_a_traceback(tmp_path):
    command = f"'{sys.executable}' -m app generate mock --prompt '{script(text='word ' * 50, delay=0.05)}' | head -c 4"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=clean_environ(tmp_path), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout == "word" and done.returncode == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_it_and_keeps_what_came(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "generate", "mock", "--prompt", script(text="one " * 1000, delay=0.2)],
        cwd=ROOT, env=clean_environ(tmp_path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.read(4)
    process.send_signal(number)
    rest, said = process.communicate(timeout=30)
    assert first == b"one " and rest.endswith(b"\n") and process.returncode == code
    assert said == b"Cancelled.\n"


# --- a terminal -----------------------------------------------------------------------------------------------------


def in_a_terminal(tmp_path, *arguments, **environ):
    """Run a command whose stdout and stderr are a terminal; return all that it wrote there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=clean_environ(tmp_path, TERM="xterm", **environ),
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:
        pass  # Linux's word for: nobody writes any more
    os.close(ours)
    assert process.wait(60) == 0, written
    return written.decode().replace("\r\n", "\n")  # the terminal's own newlines


def test_a_model_cannot_steer_a_terminal(tmp_path):
    text = "\x1b]0;title\x07 \x1b[2J \u009b31m over\rwritten \u202egnp.exe 한국어"
    shown = in_a_terminal(tmp_path, "generate", "mock", "--prompt", script(text=text))
    assert shown == "]0;title [2J 31m overwritten gnp.exe 한국어\n"


def test_a_pipe_gets_what_the_model_said(generate):
    assert generate(text="\x1b[2J \u009b31m").stdout == "\x1b[2J \u009b31m\n"


def test_the_limit_is_explained_to_a_person(tmp_path, generate):
    step = script(text="one", finish_reason="length")
    assert "cut at --max-tokens" in in_a_terminal(tmp_path, "generate", "mock", "--prompt", step)
    assert generate(text="one", finish_reason="length").stderr == ""


# --- a running gateway ------------------------------------------------------------------------------------------------


def test_another_address_is_asked_with_its_key(run, upstream):
    upstream.reply_json(completion("from afar"))
    address = upstream.base_url
    done = run("generate", "their-model", "--prompt", "x", "--url", address, "--no-stream", OPENAI_API_KEY=KEY)
    assert done.stdout == "from afar\n", done.stderr
    asked = upstream.requests[0]
    assert asked.body["model"] == "their-model" and asked.headers["authorization"] == f"Bearer {KEY}"


def test_a_running_gateway_is_asked_with_its_own_key(run, serve):
    gateway = serve({"m": {"options": {"engine": "mock"}, "models": {"echo": {}}}}, GATEWAY_API_KEYS=KEY)
    port = gateway.url.rpartition(":")[2]
    asked = ("generate", "echo", "--prompt", "through HTTP", "--url", gateway.url)
    assert run(*asked, GATEWAY_API_KEYS=KEY, PORT=port).stdout == "through HTTP\n"
    refused = run(*asked, PORT=port)
    assert refused.returncode == 1 and "Error: " in refused.stderr and KEY not in refused.stderr
