"""`python -m app diag`: what is printed, and its exit codes (models on this machine: test_local.py)."""

import json
import socket

import pytest

from app.commands.diag import as_lines

KEY = "canary-key-0123456789-abcdef"


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return str(port)


def test_a_sound_installation_ends_with_0(run_here, free_port):
    done = run_here("diag", PORT=free_port)
    assert done.returncode == 0, done.stdout
    for word in ("gateway ", "python 3", "litellm 1.", "cores", "can be written", f":{free_port} (free now)", "0 errors"):
        assert word in done.stdout
    assert "setting     PORT=" in done.stdout and "MAX_TOKENS=1000" not in done.stdout
    assert "MAX_TOKENS=1000 (default)" in run_here("diag", "-v").stdout


def test_json_has_every_section(run_here):
    told = json.loads(run_here("diag", "--json").stdout)
    assert told["ok"] is True
    assert set(told) == {
        "ok", "problems", "versions", "machine", "settings", "model_map", "local_models", "server", "database", "upstreams",
    }  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--json",), ("--verbose",)], ids=str)
def test_no_key_is_shown_whole(run_here, options):
    keys = {"GEMINI_API_KEY": KEY, "GATEWAY_API_KEYS": f"{KEY[::-1]},short", "DATABASE_URL": "postgresql://me:my-secret@db/x"}
    done = run_here("diag", *options, **keys)
    for secret in (KEY, KEY[::-1], "my-secret", "short"):
        assert secret not in done.stdout + done.stderr
    assert "cana…cdef" in done.stdout


def test_a_port_in_use_is_a_warning(run_here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_here("diag", PORT=str(taken.getsockname()[1]))
    assert done.returncode == 0 and "a gateway may be running" in done.stdout and "(not free now)" in done.stdout


def test_what_cannot_work_ends_with_1(run_here, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "gateway.db").write_bytes(b"this is no database" * 100)
    done = run_here("diag")
    assert done.returncode == 1 and "error: database: " in done.stdout and "1 errors" in done.stdout


def test_settings_that_cannot_be_used_end_with_2_and_the_machine_is_told_anyway(run_here):
    done = run_here("diag", MAX_TOKENS="many")
    assert done.returncode == 2 and "error: settings: MAX_TOKENS='many'" in done.stdout and "versions" in done.stdout
    assert json.loads(run_here("diag", "--json", MAX_TOKENS="many").stdout)["ok"] is False


def test_long_lists_are_cut_and_names_of_files_are_harmless():
    facts = {
        "versions": {"gateway": "1", "python": "3"},
        "machine": {"architecture": "x", "cores": 2, "total_bytes": 2**30, "available_bytes": None},
        "settings": [],
        "server": {"host": "h", "port": 1, "free": True},
        "database": {"kind": "postgresql", "path": None, "writable": None},
        "model_map": {"path": None},
        "upstreams": [],
        "local_models": {
            "on": True, "installed": False, "runs": False, "memory_bytes": 1, "threads": 1, "models": [],
            "keeper": {"running": False, "log": "", "models": []}, "folders": [],
            "skipped": [{"path": f"/m/{n}\x1b[31m.gguf", "why": "is no model"} for n in range(30)],
        },
    }  # fmt: skip
    lines = list(as_lines(facts, [], verbose=False))
    assert sum(line.startswith("skipped") for line in lines) == 21 and "and 10 more" in "\n".join(lines)
    assert len(list(as_lines(facts, [], verbose=True))) > len(lines)
    assert "\x1b" not in "".join(lines)
