"""The optional packages are known to all that installs, checks and describes them; a missing one is a sentence."""

import sys
from pathlib import Path

import pytest

from app.extras import EXTRAS, LOCAL, OTEL

ROOT = Path(__file__).resolve().parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_one_that_is_missing_names_the_command_that_installs_it(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, extra.packages[-1], None)
    assert not extra.installed
    assert f"`./run.sh --{extra.name}`" in extra.missing and f"requirements-{extra.name}.lock" in extra.missing
    assert len(extra.missing) < 200, "more is cut off where the log says it"


def test_one_is_installed_when_all_its_packages_are():
    assert LOCAL._replace(packages=("app.quirks", "app.extras")).installed
    assert not OTEL._replace(packages=("app", "app.no_such_module")).installed
    assert not OTEL._replace(packages=("no_such_package.module",)).installed


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_each_is_known_to_all_that_installs_and_describes_it(extra):
    assert f"-r requirements-{extra.name}.txt\n" in read("requirements-dev.txt")
    assert f"!requirements-{extra.name}.lock\n" in read(".dockerignore")
    assert f"requirements-{extra.name}.lock" in read("deploy/Dockerfile")
    assert f"\n| `--{extra.name}` | " in read("deploy/README.md")
    for name in ("README.md", "README.ko.md"):
        assert f"`./run.sh --{extra.name}`" in read(name), name


def test_the_scripts_know_the_same():
    names = [extra.name for extra in EXTRAS]
    assert f"\nextras=({' '.join(names)})\n" in read("deploy/venv.sh")
    assert f"{' | '.join(f'--{name}' for name in names)})" in read("run.sh")
