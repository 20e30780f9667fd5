"""The floor plan, enforced: who may import what, which words may stand where, how big a room may be."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.extras import EXTRAS

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app"
FILES = sorted(path for path in APP.rglob("*.py") if path.stat().st_size)
CODE = FILES + sorted(path for name in ("tests", "bench") for path in (ROOT / name).rglob("*.py"))

PURE = ("quirks/", "utils/", "emulation/", "sse.py")
IMPURE = {"flask", "gunicorn", "werkzeug", "litellm", "httpx", "requests", "urllib3", "sqlalchemy"} | {
    "socket", "subprocess", "threading", "multiprocessing", "sqlite3", "http", "urllib.request"
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "sleep"}
ONLY_IN = {"litellm": ("engines/litellm_sdk.py",), "click": ("cli.py", "commands/")}
NOT_AT_START = (
    "litellm", "jsonschema", "requests", "sqlalchemy", "tiktoken", "openai", "httpx", "pydantic", "prometheus_client",
    "opentelemetry",
)  # fmt: skip

# Lower case, as a word of its own: an address (api.groq.com) or a variable (GROQ_API_KEY) names no dialect.
NAMES = "gemini|groq|gpt[-_]oss|cline|qwen|deepseek|claude|llama|vertex_ai|anthropic"
DIALECTS = re.compile(rf"(?<![\w.@/])({NAMES})(?![\w.])")
LONGEST_FILE, LONGEST_FUNCTION = 400, 40
EXTRA_LOCKS = tuple(f"requirements-{extra.name}.lock" for extra in EXTRAS)
LOCKS = ("requirements.lock", *EXTRA_LOCKS, "requirements-dev.lock")


def rel(path: Path) -> str:
    return path.relative_to(APP if path.is_relative_to(APP) else ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> set[str]:
    """All modules a file imports, at its top or later, but not those for the type checker only."""
    found = set()
    for node in walk_without_type_checking(tree(path)):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def walk_without_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from walk_without_type_checking(child)


def is_one_of(names: set[str], packages: set[str] | frozenset[str]) -> set[str]:
    return {package for package in packages for name in names if name == package or name.startswith(package + ".")}


def literals(path: Path) -> Iterator[ast.Constant]:
    """String literals, without docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_imports_follow_the_plan(path):
    names = imports(path)
    if not rel(path).startswith("routes/") and rel(path) != "__init__.py":
        assert not is_one_of(names, {"app.routes"}), "routes are the outermost layer"
    for package, homes in ONLY_IN.items():
        assert rel(path).startswith(homes) or not is_one_of(names, {package}), f"{package} belongs in {homes}"


@pytest.mark.parametrize("path", [path for path in FILES if rel(path).startswith(PURE)], ids=rel)
def test_pure_rooms_do_no_input_or_output(path):
    assert not is_one_of(imports(path), IMPURE)
    calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    named = {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}
    assert not named & IMPURE_CALLS


@pytest.mark.parametrize("path", [path for path in FILES if not rel(path).startswith("quirks/")], ids=rel)
def test_dialect_names_stay_in_the_quirk_rooms(path):
    found = [f"line {node.lineno}: {node.value!r}" for node in literals(path) if DIALECTS.search(node.value)]
    assert not found


@pytest.mark.parametrize("path", CODE, ids=rel)
def test_files_stay_short(path):
    assert path.read_text("utf-8").count("\n") <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_functions_stay_short(path):
    functions = (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert not [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_a_module_opens_with_what_it_knows(path):
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", FILES, ids=rel)
def test_no_error_is_swallowed_unseen(path):
    handlers = (node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler))
    silent = [
        f"line {handler.lineno}"
        for handler in handlers
        if (handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException"))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in handler.body)
    ]
    assert not silent


@pytest.mark.parametrize("path", [path for path in FILES if not path.name.startswith("__")], ids=rel)
def test_every_file_has_its_test_file(path):
    assert list((ROOT / "tests").rglob(f"test_{path.name}"))


def test_test_files_of_one_name_do_not_hide_each_other():
    assert 'import-mode=importlib' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_nothing_heavy_is_imported_at_the_start():
    code = f"import sys, app; print(*[name for name in {NOT_AT_START!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_project_does_not_name_the_folder_it_stands_in():
    places = re.compile(re.escape(f"{ROOT}/"))
    own = [path for path in ROOT.iterdir() if path.name in (".ci", ".env.example") or path.name[0] != "."]
    files = [path for top in own for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    for path in files:
        if path.suffix not in (".pyc", ".png", ".gguf") and path.relative_to(ROOT).parts[0] != "var":
            found = places.search(path.read_text("utf-8", errors="replace"))
            assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_locks_carry_hashes_and_no_address():
    for name in LOCKS:
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"https?:|file:|--find-links|--index-url| @ ", text), name
        pins = re.findall(r"^[a-z][^\n]*==[^\n]*\\\n {4}--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), name
        assert name in EXTRA_LOCKS or re.search(r"^litellm==1\.106\.2 ", text, re.MULTILINE), name


def pins(name: str) -> dict[str, set[str]]:
    """Package -> versions of a lock: one, or one for each range of Pythons."""
    found: dict[str, set[str]] = {}
    for package, pinned in re.findall(r"^([a-z][\w.-]*)==([\w.+-]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE):
        found.setdefault(package, set()).add(pinned)
    return found


def test_all_locks_can_be_installed_into_one_environment():
    dev = pins("requirements-dev.lock")
    for name in LOCKS[:-1]:
        for package, versions in pins(name).items():
            assert versions <= dev[package], f"{package} in {name}"
