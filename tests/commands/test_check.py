"""`python -m app check`: findings as text or JSON, and its exit codes."""

import json
import os
from pathlib import Path

from tests.gateway import ROOT

KEY = "canary-key-0123456789-abcdef"


def write(folder: Path, text: str) -> str:
    path = folder / "opencode.json"
    path.write_text(text, "utf-8")
    return str(path)


def test_the_shipped_file_has_no_errors(run_here):
    done = run_here("check")
    assert done.returncode == 0 and "0 errors" in done.stdout


def test_json_is_a_list_of_findings(run_here):
    done = run_here("check", "--json")
    findings = json.loads(done.stdout)
    assert {"level", "path", "message"} == set(findings[0])
    assert any("GEMINI_API_KEY" in finding["message"] for finding in findings)


def test_a_set_key_takes_the_warning_away_and_is_not_shown(run_here):
    done = run_here("check", "-v", GEMINI_API_KEY=KEY, GROQ_API_KEY=KEY, TRANSFORMERS_URL="http://127.0.0.1:1")
    assert "0 warnings" in done.stdout and "local-model -> gemini-relay/gemini-2.5-flash" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_errors_end_with_1(run_here, tmp_path):
    path = write(tmp_path, '{"provider": {"p": {"options": {"engine": "warp"}, "models": {"m": {}}}}}')
    done = run_here("check", path)
    assert done.returncode == 1 and "error: provider.p.options.engine: unknown engine `warp`" in done.stdout


def test_broken_json_says_where(run_here, tmp_path):
    done = run_here("check", write(tmp_path, '{\n  "provider": [}'))
    assert done.returncode == 1 and "error: " in done.stdout and "Traceback" not in done.stderr


def test_a_relative_path_is_relative_to_the_caller(run_here, tmp_path):
    write(tmp_path, '{"provider": {"p": {"options": {"engine": "mock"}, "models": {"only-here": {}}}}}')
    relative = os.path.relpath(tmp_path / "opencode.json", ROOT)
    assert "only-here -> p/only-here" in run_here("check", relative, "-v").stdout


def test_verbose_lists_what_each_name_leads_to(run_here):
    done = run_here("check", "--verbose")
    assert "mock -> mock/mock (engine mock, key: none)" in done.stdout
