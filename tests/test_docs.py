"""The documents say what the gateway does: examples are run, and settings, routes and commands are all described."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app import create_app
from app.cli import main
from app.config import SETTINGS, Settings
from app.utils import jsonc
from tests.docs_examples import (
    RECORDING,
    Example,
    other_blocks,
    read_examples,
    record,
    run,
    same,
    settings_of,
)
from tests.docs_rules import format_rules, read_table, write_table
from tests.gateway import ROOT, Gateway

READMES = ("README.md", "README.ko.md")
DOCUMENTS = (*READMES, "API_SPEC.md", "EXAMPLES.md", "CHANGELOG.md", "deploy/README.md")
EXAMPLES = [(n, example) for name in DOCUMENTS for n, example in enumerate(read_examples(ROOT / name))]
NOT_IN_DOTENV = {"GATEWAY_ENV_FILE"}  # it names the file itself
OTHER_VARIABLES = {"GATEWAY_NO_UV", "GATEWAY_RECORD_EXAMPLES"}
# stream_options.include_usage is an option of the request; `local` is what the gateway itself says of a GGUF file.
NOT_OURS = {"include_usage", "local"}
OF_THE_MOCK = {"delay", "reply", "script"}  # README.md describes them

UPSTREAM_KEY = "AIza-not-a-real-key-of-a-relay-0000"


@pytest.fixture(scope="module")
def gateway_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """Start one gateway for each set of settings that the examples ask for."""
    started: dict[str, Gateway] = {}
    with ExitStack() as stack:

        def begin(**environ: str) -> Gateway:
            return stack.enter_context(Gateway(tmp_path_factory.mktemp("gateway"), **environ))

        def upstream() -> Gateway:
            path = tmp_path_factory.mktemp("upstream") / "opencode.json"
            models = {"gemini-2.5-flash": {}}
            path.write_text(json.dumps({"provider": {"m": {"options": {"engine": "mock"}, "models": models}}}), "utf-8")
            return begin(OPENCODE_CONFIG=str(path))

        def gateway_for(directive: str) -> Gateway:
            if directive not in started:
                environ = {"OPENCODE_CONFIG": str(ROOT / "opencode.json"), "GATEWAY_ENGINE": "litellm"}  # as a user has it
                environ |= settings_of(directive)
                if "relay" in directive.split():
                    environ |= {"GEMINI_API_BASE": upstream().base_url, "GEMINI_API_KEY": UPSTREAM_KEY}
                started[directive] = begin(**environ)
            return started[directive]

        yield gateway_for


@pytest.mark.e2e
@pytest.mark.parametrize(("position", "example"), EXAMPLES, ids=lambda value: str(value))
def test_an_example_does_what_it_shows(position: int, example: Example, gateway_for, tmp_path: Path) -> None:
    if "curl" in example.command.text and not shutil.which("curl"):
        pytest.skip("curl is missing: THE EXAMPLES OF THE DOCUMENTS ARE NOT RUN")
    shown = run(example, gateway_for(example.gateway), tmp_path)
    if RECORDING:
        record(example.path, position, shown)
    else:
        for block, text in zip(example.shown, shown, strict=True):
            assert same(block, text), f"{example} shows\n{block.text}\nbut it is\n{text}"


# --- completeness ---------------------------------------------------------------------------------------------------


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def table_of_settings(name: str) -> dict[str, str]:
    """Variable -> default, from the table of a README: | `NAME` | `default` | meaning |."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| .+ \|$", read(name), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a setting is listed twice"
    return {variable: default.strip("`") for variable, default in rows}


@pytest.mark.parametrize("name", READMES)
def test_the_table_of_settings_is_the_table_of_the_code(name: str) -> None:
    expected = {setting.name: setting.default or "–" for setting in SETTINGS}
    assert table_of_settings(name) == expected
    assert list(table_of_settings(name)) == list(expected), "same order as in app/config.py"


def test_every_setting_is_in_the_example_of_an_env_file() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", read(".env.example"), re.MULTILINE))
    assert named == {setting.name for setting in SETTINGS} - NOT_IN_DOTENV


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_a_setting_that_does_not_exist(name: str) -> None:
    known = {setting.name for setting in SETTINGS} | OTHER_VARIABLES
    assert set(re.findall(r"\bGATEWAY_[A-Z_]+\b", read(name))) <= known


def test_every_route_is_described() -> None:
    app = create_app(Settings.load({"OPENCODE_CONFIG": str(ROOT / "opencode.json")}, dotenv=False))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            assert f"`{method} {path}`" in read("API_SPEC.md"), f"{method} {path} is not described"


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_described(name: str) -> None:
    for command in main.commands:
        assert f"`python -m app {command}" in read(name)


def test_the_table_of_repairs_is_what_the_rules_say() -> None:
    if RECORDING:
        write_table(ROOT / "API_SPEC.md")
    assert read_table(ROOT / "API_SPEC.md") == format_rules()


def test_every_option_of_a_repair_is_described() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "app" / "quirks").glob("*.py"))
    read_by_code = set(re.findall(r"\b(?:facts\.|target\.|)options\.get\(\"(\w+)\"", code))
    rows = re.findall(r"^\| `(\w+)` \|.*\| `[a-z]+\.[a-z_]+` \|", read("API_SPEC.md"), re.MULTILINE)
    in_readme = set(re.findall(r"^\| `(\w+)`", read("README.md"), re.MULTILINE))
    assert read_by_code - NOT_OURS <= {*rows} | in_readme
    assert set(rows) <= read_by_code


def test_every_option_of_an_engine_is_described() -> None:
    files = [ROOT / "app" / "emulated.py", *(ROOT / "app" / "engines").glob("*.py")]
    code = "".join(path.read_text("utf-8") for path in files)
    read_by_code = set(re.findall(r"\boptions(?:\.get\(|, )\"(\w+)\"", code))
    assert {"toolEmulation", "maxPromptTokens", "topK", "harmonyDialect"} <= read_by_code
    for name in ("README.md", "README.ko.md"):
        in_tables = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*", read(name), re.MULTILINE))))
        assert read_by_code - NOT_OURS <= in_tables, name
    rows = re.findall(r"^\| `(\w+)` \|", read("API_SPEC.md"), re.MULTILINE)
    assert read_by_code - NOT_OURS - OF_THE_MOCK <= set(rows)


def test_the_changelog_begins_with_what_is_not_released() -> None:
    assert re.findall(r"^## (.*)$", read("CHANGELOG.md"), re.MULTILINE)[0] == "Unreleased"


# --- soundness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_samples_of_json_can_be_read(name: str) -> None:
    for text in [*other_blocks(ROOT / name, "json"), *other_blocks(ROOT / name, "jsonc")]:
        value = jsonc.decode(text)
        if isinstance(value, dict) and "provider" in value:
            Settings.load({}, dotenv=False, opencode=value)  # raises ConfigError for what is none


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        path, _, heading = target.partition("#")
        if "://" in path:
            continue
        place = (ROOT / name).parent / path if path else ROOT / name
        assert place.exists(), target
        if heading:
            assert heading in anchors(str(place)), target


def anchors(name: str) -> set[str]:
    """The names that GitHub gives to the headings of a file."""
    text = re.sub(r"^```.*?^```", "", read(name), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_place_of_a_machine_and_no_registry_is_named(name: str) -> None:
    # An address may name an example, this machine, or a service that the text is about.
    for host in re.findall(r"https?://(?:[^\s/@`]+@)?([^\s/:\"'`)>,]+)", read(name)):
        assert re.search(ALLOWED_HOSTS, host), f"{name} names the host {host}"
    assert not re.search(r"/(work|tmp|home|root|Users)/|[A-Z]:\\Users", read(name))


ALLOWED_HOSTS = (
    r"^(localhost|127\.0\.0\.1|\[::1\]|\$\w+|.*\.?example\.com|.*\.example|opencode\.ai|json-schema\.org|"
    r"generativelanguage\.googleapis\.com|api\.groq\.com|console\.groq\.com|chatjimmy\.ai|host\.docker\.internal|"
    r"cookbook\.openai\.com|platform\.openai\.com|keepachangelog\.com|docs\.astral\.sh)$"
)
