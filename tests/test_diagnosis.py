"""What is looked at in an installation: settings and their sources, the database, upstreams; nothing is changed."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.config import SETTINGS, Settings
from app.diagnosis import Diagnosis, check_database, check_upstreams, diagnose, setting_row, why_not_writable
from tests.conftest import provider_at, settings_for

KEY = "canary-key-0123456789-abcdef"
ROW = {setting.name: setting for setting in SETTINGS}


def free(host: str, port: int) -> None:
    return None


def test_where_a_setting_comes_from(monkeypatch, tmp_path):
    dotenv = tmp_path / "my.env"
    dotenv.write_text("PORT=4321\n", "utf-8")
    monkeypatch.setenv("MAX_TOKENS", "7")
    settings = Settings.load({"MAX_TOKENS": "7", "GATEWAY_ENV_FILE": str(dotenv)})
    rows = {name: setting_row(ROW[name], settings) for name in ("PORT", "MAX_TOKENS", "HOST", "MODEL_NAME")}
    assert rows["PORT"] == {"name": "PORT", "value": "4321", "source": str(dotenv)}
    assert rows["MAX_TOKENS"] == {"name": "MAX_TOKENS", "value": "7", "source": "environment"}
    assert rows["HOST"]["source"] == "default" and rows["HOST"]["value"] == "127.0.0.1"
    assert rows["MODEL_NAME"]["value"] is None


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("GEMINI_API_KEY", KEY, "cana…cdef"),
        ("GATEWAY_API_KEYS", f"{KEY}, other-secret", "cana…cdef, othe…cret"),
        ("DATABASE_URL", "postgresql://me:my-secret@db/x", "postgresql://me:…@db/x"),
        ("GATEWAY_LOG_FILE", f"/logs/{KEY}", "/logs/cana…cdef"),
    ],
)
def test_keys_are_shown_by_their_ends(name, value, shown):
    settings = Settings.load({"GEMINI_API_KEY": KEY, name: value}, dotenv=False)
    assert setting_row(ROW[name], settings)["value"] == shown


def test_without_settings_the_machine_is_told():
    found = diagnose(None, "MAX_TOKENS is wrong", free, network=False)
    assert not found.ok and found.problems == [{"level": "error", "about": "settings", "message": "MAX_TOKENS is wrong"}]
    assert set(found.facts) == {"versions", "machine"}


def test_what_check_finds_is_told_too(tmp_path):
    settings = settings_for({"p": {"options": {"engine": "warp"}, "models": {"m": {}}}}, GATEWAY_DATA_DIR=str(tmp_path))
    found = diagnose(settings, None, free, network=False)
    assert not found.ok and any("unknown engine `warp`" in problem["message"] for problem in found.problems)


# --- the database ---------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_yet_is_not_made(tmp_path):
    assert why_not_writable(tmp_path / "deep" / "gateway.db") is None
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_reason(tmp_path):
    (tmp_path / "var").touch()  # a file: not even root can make a folder of it
    assert "not writable" in (why_not_writable(tmp_path / "var" / "gateway.db") or "")


def test_a_database_in_use_is_a_reason_and_nothing_is_written(tmp_path):
    path = tmp_path / "gateway.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        before = path.read_bytes()
        assert why_not_writable(path) is None
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in (why_not_writable(path) or "")
        other.execute("ROLLBACK")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "network", "facts"),
    [
        (None, False, {"kind": "sqlite", "writable": True, "problem": None}),
        ("sqlite:////no/such/place/x.db", False, {"kind": "sqlite", "path": "/no/such/place/x.db"}),
        ("postgresql://me:my-secret@db.example/x", False, {"kind": "postgresql", "path": None, "writable": None}),
        ("postgresql://me:my-secret@127.0.0.1:1/x", True, {"kind": "postgresql", "writable": False}),
    ],
)
def test_databases(tmp_path, url, network, facts):
    settings, found = settings_for({}, GATEWAY_DATA_DIR=str(tmp_path), **({"DATABASE_URL": url} if url else {})), Diagnosis()
    check_database(settings, found, network)
    assert found.facts["database"].items() >= facts.items()
    assert "my-secret" not in str(found)


@pytest.mark.parametrize(
    ("packages", "variables", "command"),
    [
        ("psycopg", {"DATABASE_URL": "postgresql://me:my-secret@127.0.0.1:1/x"}, "--postgres"),
        ("gevent", {"GATEWAY_WORKER_CLASS": "gevent"}, "--gevent"),
        ("opentelemetry", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "--otel"),
    ],
)
def test_packages_that_the_settings_need_are_named(tmp_path, monkeypatch, packages, variables, command):
    monkeypatch.setitem(sys.modules, packages, None)
    settings = settings_for({}, GATEWAY_DATA_DIR=str(tmp_path), **variables)
    found = diagnose(settings, None, free, network=False)
    assert [f"`./run.sh {command}`" in problem["message"] for problem in found.problems].count(True) == 1
    assert found.facts["database"]["writable"] is ("DATABASE_URL" not in variables)
    assert not any("optional package" in problem["message"] for problem in diagnose(
        settings_for({}, GATEWAY_DATA_DIR=str(tmp_path)), None, free, network=False).problems)  # fmt: skip


# --- upstreams ------------------------------------------------------------------------------------------------------


def test_upstreams_are_asked_only_when_that_is_wanted(upstream):
    settings = settings_for({"up": provider_at(upstream.base_url + "?key=abc", "relay", {"a": {}, "b": {}})})
    for network in (False, True):
        found = Diagnosis()
        check_upstreams(settings, found, network)
        (row,) = found.facts["upstreams"]
        assert row["reachable"] is (True if network else None) and found.problems == []
        assert len(upstream.requests) == network
    asked = upstream.requests[0]
    assert (asked.method, asked.path) == ("GET", "/v1/models") and "authorization" not in asked.headers
    assert row["key"] == "sk-u…6789"


def test_an_upstream_that_is_not_there_is_an_error():
    found = Diagnosis()
    check_upstreams(settings_for({"up": provider_at("http://127.0.0.1:1/v1", "relay")}), found, network=True)
    assert not found.ok and found.facts["upstreams"][0]["reachable"] is False


def test_nothing_is_written(tmp_path):
    diagnose(settings_for({}, GATEWAY_DATA_DIR=str(tmp_path / "var")), None, free, network=False)
    assert not Path(tmp_path / "var").exists()
