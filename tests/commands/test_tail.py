"""`python -m app tail`: what is there, what comes, the filters; beside a running gateway and without one."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from tests.commands.stored import HOSTILE, ask, request_id, rows, running, say

MODELS = {"some-model": {}, "other-model": {"id": "some-model"}}


@pytest.fixture
def trace_depth():
    return "chunks"


@pytest.fixture
def upstream(stored):
    return stored.upstream


@pytest.fixture
def gateway(stored, upstream):
    say(upstream, "Hello.")
    return stored.gateway


@pytest.fixture
def tail(run_here):
    def tail(*arguments, **environ):
        done = run_here("tail", "--no-follow", *arguments, **environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tail


def test_the_newest_are_shown_oldest_first_one_line_each(gateway, tail):
    replies = [ask(gateway, f"Question {at}") for at in range(4)]
    lines = tail("-n", "3").splitlines()
    assert len(lines) == 3
    for line, reply in zip(lines, replies[1:], strict=True):
        assert request_id(reply) in line and "some-model" in line and "200 stream" in line


def test_json_is_one_object_a_line(gateway, tail):
    reply = ask(gateway)
    (row,) = rows(tail("--json"))
    assert (row["id"], row["status"], row["model"], row["stream"]) == (request_id(reply), 200, "some-model", True)


def test_the_filters(gateway, tail, upstream):
    plain = ask(gateway, model="other-model", session="one")
    upstream.refuse(400, {"error": {"message": "Not this."}})
    refused = ask(gateway, session="two")
    wanted = {"--model=other-model": [plain], "--session=two": [refused], "--errors": [refused], "--repairs": [plain]}
    for option, replies in wanted.items():
        assert [row["id"] for row in rows(tail("--json", option))] == list(map(request_id, replies)), option
    assert tail("--model=none-such") == ""


def test_repairs_are_listed_by_rule(gateway, tail):
    ask(gateway)
    first, *rules = tail("--repairs").splitlines()
    assert "req_" in first and "    finish.map=1" in rules


def test_v_tells_what_was_asked(gateway, tail):
    ask(gateway, "What is the time?")
    assert "What is the time?" not in tail() and "    What is the time?" in tail("-v").splitlines()


def test_it_follows_what_comes(gateway, tmp_path, data_folder):
    ask(gateway, "Before")
    with running(tmp_path, "tail", "--json", "-n", "1", **data_folder) as command:
        command.wait_for()
        reply = ask(gateway, "After")
        row = json.loads(command.wait_for(lambda line: request_id(reply) in line))
        assert row["asked"] == "After"


def test_it_waits_for_a_gateway_that_is_not_there_yet(client_for, upstream, tmp_path):
    say(upstream, "Hello.")
    with running(tmp_path, "tail") as command:
        assert "there is no database" in command.wait_for(lambda line: "waited for" in line)
        reply = ask(client_for("relay"))
        command.wait_for(lambda line: request_id(reply) in line)


def test_each_request_is_shown_once_even_if_several_end_together(gateway, tmp_path, data_folder):
    replies = [ask(gateway, "Before")]
    with running(tmp_path, "tail", "--json", "-n", "1", **data_folder) as command:
        command.wait_for()
        replies += [ask(gateway, f"Question {at}") for at in range(12)]
        last = request_id(replies[-1])
        command.wait_for(lambda line: last in line)
    names = [json.loads(line)["id"] for line in command.lines]
    assert sorted(names) == sorted(map(request_id, replies))


def test_without_a_database_it_says_so(run_here, tmp_path):
    done = run_here("tail", "--no-follow")
    assert done.returncode == 1 and "there is no database" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "var" / "gateway.db").exists(), "who only looks makes no file"


def test_a_client_cannot_steer_the_terminal(gateway, tail):
    ask(gateway, model=f"some-model {HOSTILE}", session="x")
    shown = tail()
    assert "\x1b" not in shown and "\x9b" not in shown and "\u202e" not in shown
    assert "\\u001b" in shown and len(shown.splitlines()) == 1


def test_a_stopped_gateway_leaves_its_requests(client_for, upstream, tail, tmp_path):
    say(upstream, "Hello.")
    gateway = client_for("relay")
    reply = ask(gateway)
    gateway.__exit__()
    assert request_id(reply) in tail(GATEWAY_DATA_DIR=str(tmp_path / "var"))


def test_a_database_that_breaks_meanwhile_is_told_once(gateway, tmp_path, data_folder):
    ask(gateway, "Before")
    copy = tmp_path / "var" / "gateway.db"
    copy.parent.mkdir()
    with contextlib.closing(sqlite3.connect(Path(data_folder["GATEWAY_DATA_DIR"]) / "gateway.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with running(tmp_path, "tail", "-n", "1") as command:
        command.wait_for()
        (tmp_path / "broken").write_bytes(b"no database" * 100)
        (tmp_path / "broken").replace(copy)
        command.wait_for(lambda line: "not a database" in line and "waited for" in line)
        copy.unlink()
        command.wait_for(lambda line: "there is no database" in line)
    assert len([line for line in command.lines if "waited for" in line]) == 2


@pytest.mark.parametrize("arguments", [("--lines", "-1"), ("--nonsense",), ("extra",)])
def test_a_wrong_command_ends_with_2(run_here, arguments):
    assert run_here("tail", *arguments).returncode == 2
