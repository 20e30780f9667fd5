"""`python -m app export`: capture files, whole sessions, and tests that pass and can fail."""

import contextlib
import gzip
import io
import json
import re
import subprocess
import sys

import pytest

from app.capture import load_capture, read_capture
from app.commands.export import write_one
from tests.captures import asks, capture, raw_events, save, says
from tests.commands.stored import ask, request_id, say
from tests.gateway import ROOT, clean_environ


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def upstream(stored):
    return stored.upstream


@pytest.fixture
def gateway(stored, upstream):
    say(upstream, "Hello ", "there.")
    return stored.gateway


def test_a_capture_goes_to_standard_output_exact_to_the_byte(gateway, run):
    reply = ask(gateway)
    done = run("export", request_id(reply))
    assert done.returncode == 0, done.stderr
    capture = read_capture(done.stdout.split("\n"))
    assert b"".join(data for _, data in capture.emitted()) == reply.raw
    assert capture.summary["id"] == request_id(reply) and any(capture.raw())


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def test_a_capture_cannot_steer_a_terminal(tmp_path):
    path = save(capture(asks("\x9b31m \u202egnp.exe 한국어"), *raw_events(says("Hi"))), tmp_path / "x.jsonl")
    printed = []
    for kind in (io.TextIOWrapper, Terminal):
        with contextlib.redirect_stdout(kind(io.BytesIO(), "utf-8")) as out:
            write_one(str(path), None, None)
            printed.append(out.buffer.getvalue().decode())
    assert "\x9b" in printed[0] and "\x9b" not in printed[1] and "\u202e" not in printed[1] and "한국어" in printed[1]
    assert list(map(json.loads, printed[0].splitlines())) == list(map(json.loads, printed[1].splitlines()))


@pytest.mark.parametrize("name", ["one.jsonl", "one.jsonl.gz"])
def test_a_file_is_packed_where_its_name_says_so(gateway, run_here, tmp_path, name):
    reply = ask(gateway)
    assert run_here("export", "last", "-o", str(tmp_path / name)).returncode == 0
    assert load_capture(tmp_path / name).summary["id"] == request_id(reply)
    packed = (tmp_path / name).read_bytes()
    assert name.endswith(".gz") == packed.startswith(b"\x1f\x8b")
    assert json.loads((gzip.decompress(packed) if name.endswith(".gz") else packed).split(b"\n")[0])["capture"] == 1


def test_a_session_is_a_folder_in_the_order_of_time(gateway, run_here, tmp_path):
    replies = [ask(gateway, text, session="mine") for text in ("One", "Two", "Three")]
    ask(gateway, "Other", session="other")
    done = run_here("export", "--session", "mine", "-o", str(tmp_path / "session"))
    assert done.returncode == 0 and "3 files are written" in done.stderr
    files = sorted((tmp_path / "session").iterdir())
    assert [load_capture(file).summary["id"] for file in files] == list(map(request_id, replies))


def test_a_session_that_goes_on_is_exported_again_into_the_same_folder(gateway, run_here, tmp_path):
    """Its oldest request may be forgotten meanwhile: no request is written twice under another number."""
    replies = [ask(gateway, text, session="mine") for text in ("One", "Two")]
    folder = tmp_path / "session"
    assert run_here("export", request_id(replies[1]), request_id(replies[1]), "-o", str(folder)).returncode == 0
    replies.append(ask(gateway, "Three", session="mine"))
    assert run_here("export", "--session", "mine", "-o", str(folder)).returncode == 0
    found = [load_capture(file).summary["id"] for file in folder.iterdir()]
    assert sorted(found) == sorted(map(request_id, replies))


def test_several_ids(gateway, run_here, tmp_path):
    names = [request_id(ask(gateway, text)) for text in ("One", "Two")]
    assert run_here("export", names[1], names[0], names[0], "-o", str(tmp_path / "both")).returncode == 0
    assert [load_capture(file).summary["id"] for file in sorted((tmp_path / "both").iterdir())] == names


def test_json_tells_what_was_written(gateway, run_here, tmp_path):
    ask(gateway)
    for arguments in (("last", "-o", "a.jsonl"), ("last", "--pytest", "-o", "test_a.py")):
        arguments = [str(tmp_path / each) if "." in each else each for each in arguments]
        told = json.loads(run_here("export", *arguments, "--json").stdout)
        assert told["written"][0] == arguments[-1] and told["difference"] is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--session", "x"), 2),
        (("a", "b"), 2),
        (("a", "b", "--pytest"), 2),
        (("req_000000000000000000000000",), 1),
        (("--session", "none-such", "-o", "folder"), 1),
        (("last", "-o", "/no/such/folder/x.jsonl"), 1),
        (("last", "--pytest", "-o", "x.txt"), 2),
    ],
)
def test_what_cannot_be_exported_is_told(gateway, run_here, tmp_path, arguments, code):
    ask(gateway)
    arguments = [str(tmp_path / "folder") if each == "folder" else each for each in arguments]
    done = run_here("export", *arguments)
    assert done.returncode == code and "Error" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "folder").exists()


class TestPytest:
    def pytest(self, path):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)

    def test_it_passes_and_fails_when_the_outcome_changes(self, gateway, run_here, tmp_path):
        ask(gateway)
        path = tmp_path / "test_hello.py"
        done = run_here("export", "last", "--pytest", "-o", str(path))
        assert done.returncode == 0, done.stderr
        passed = self.pytest(path)
        assert passed.returncode == 0 and "1 passed" in passed.stdout, passed.stdout
        capture = path.with_suffix(".jsonl")
        capture.write_text(capture.read_text("utf-8").replace("there.", "nowhere.", 1), "utf-8")
        failed = self.pytest(path)
        assert failed.returncode == 1 and "nowhere" in failed.stdout and "+++ now" in failed.stdout

    def test_settings_that_were_in_force_are_part_of_it(self, client_for, upstream, run_here, tmp_path):
        say(upstream, "Hello.")
        repairs = {"GATEWAY_REPAIRS": "finish.map=off", "GATEWAY_DATA_DIR": str(tmp_path / "var")}
        ask(client_for("relay", **repairs))
        path = tmp_path / "test_hello.py"
        assert run_here("export", "last", "--pytest", "-o", str(path), **repairs).returncode == 0
        assert "finish.map=off" in path.read_text("utf-8")
        assert self.pytest(path).returncode == 0

    def test_what_the_written_test_says_of_itself_cannot_break_it(self, gateway, run_here, tmp_path, upstream):
        ask(gateway)
        capture = tmp_path / "odd.jsonl"
        assert run_here("export", "last", "-o", str(capture)).returncode == 0
        evil = '"a\\"\\"\\"\\nimport os\\\\"'
        text = capture.read_text("utf-8").replace('"model":"some-model"', f'"model":{evil}')
        text = re.sub('"id":"req_[0-9a-f]+"', lambda _: f'"id":{evil}', text)
        capture.write_text(text, "utf-8")
        path = tmp_path / 'test_"odd".py'
        assert run_here("export", str(capture), "--pytest", "-o", str(path)).returncode in (0, 1)
        compile(path.read_text("utf-8"), str(path), "exec")
        assert "\nimport os" not in path.read_text("utf-8")

    def test_a_request_that_reached_no_upstream_is_no_test(self, gateway, run_here, tmp_path):
        ask(gateway, model="no-such-model")
        done = run_here("export", "last", "--pytest", "-o", str(tmp_path / "test_x.py"))
        assert done.returncode == 1 and "cannot be a test" in done.stderr
        assert not (tmp_path / "test_x.py").exists()


def test_who_reads_only_the_beginning_is_told_nothing(gateway, data_folder, tmp_path, upstream):
    say(upstream, *["x" * 10_000] * 50)
    ask(gateway)
    command = f"{sys.executable} -m app export last | head -c 5"
    environ = clean_environ(tmp_path, **data_folder)
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=environ, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b'{"cap', b"")


def test_an_answer_that_was_not_kept_to_its_end_says_so(run_here, tmp_path):
    path = save(capture(asks("Hi"), *raw_events(says("Hello")), dropped_events=7), tmp_path / "x.jsonl")
    done = run_here("export", str(path), "-o", str(tmp_path / "y.jsonl"))
    assert done.returncode == 0 and "7 reads and writes" in done.stderr and "1 file is written" in done.stderr
