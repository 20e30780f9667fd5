"""The page's sources: one table of texts in two languages, nothing that interprets text, nothing from elsewhere."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "app" / "inspector" / "static"
SOURCES = sorted(STATIC.glob("*.js"))
FILES = sorted(STATIC.iterdir())
ROW = re.compile(r'^  ("[\w.]+"): (\["(?:[^"\\]|\\.)*", "(?:[^"\\]|\\.)*"\]),$', re.MULTILINE)
FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "DOMParser",
    "createContextualFragment",
    "srcdoc:",
    "eval(",
    "new Function",
    'setTimeout("',
    "setHTML",
    "javascript:",
)
PLACEHOLDER = re.compile(r"\{(\w+)\}")
LIGHT_DARK = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
TEXTS = ("ink", "soft", "upstream", "client", "rule", "bad", "good")
GROUNDS = ("ground", "sheet", "raised")
WASHES = [
    ("upstream", "upstream-wash"),
    ("ink", "upstream-wash"),
    ("soft", "upstream-wash"),
    ("ink", "client-wash"),
    ("rule", "rule-wash"),
    ("ink", "rule-wash"),
    ("bad", "bad-wash"),
    ("ink", "bad-wash"),
]


def strings() -> dict[str, list[str]]:
    text = (STATIC / "strings.js").read_text("utf-8")
    rows = [(json.loads(key), json.loads(pair)) for key, pair in ROW.findall(text)]
    assert len(rows) == text.count('": ["'), "a row of another shape"
    assert len(rows) == len(dict(rows)), "a key stands twice"
    return dict(rows)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_stay_short_and_say_what_they_know(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    if path.suffix == ".js":
        assert text.startswith("// ")
    if path.suffix == ".css":
        assert text.startswith("/* ")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_text_is_never_interpreted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [word for word in FORBIDDEN if word in text] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text("utf-8")))
    assert addresses <= {"http://www.w3.org"}, "the name of SVG's elements, which nobody fetches"
    assert not re.search(r"@import|\burl\(", path.read_text("utf-8"))


def test_the_page_itself_holds_no_script_and_no_style() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert not re.search(r"<style| style=| on\w+=", page)
    for name in re.findall(r'(?:src|href)="/inspector/static/([^"]+)"', page):
        assert (STATIC / name).is_file(), name


def test_every_text_is_there_in_both_languages() -> None:
    for key, (english, korean) in strings().items():
        assert english.strip() and korean.strip(), key
        for form in english.split("|") + korean.split("|"):
            assert set(PLACEHOLDER.findall(form)) == set(PLACEHOLDER.findall(english.split("|")[-1])), key
        if korean != english and key != "language.other" and not re.fullmatch(r"[\W\da-z]*", english):
            assert re.search("[가-힣]", korean), f"{key} is not Korean"


def test_every_text_is_used_and_every_use_has_a_text() -> None:
    known = strings()
    code = "\n".join(path.read_text("utf-8") for path in SOURCES if path.name != "strings.js")
    used = set(re.findall(r'"([a-z]\w*(?:\.\w+)*)"', code))
    patterns = [
        re.compile(re.escape(found).replace(r"\$\{\}", r"\w+"))
        for found in {re.sub(r"\$\{[^}]*\}", "${}", part) for part in re.findall(r"t\([^)\n]*?`([a-z]+\.[^`]*)`", code)}
    ]
    unused = {key for key in known if key not in used and not any(pattern.fullmatch(key) for pattern in patterns)}
    assert unused == set()
    asked = set(re.findall(r'\bt\("([\w.]+)"', code))
    assert asked - set(known) == set()


def test_no_text_stands_outside_the_table() -> None:
    for path in SOURCES:
        if path.name == "strings.js":
            continue
        code = re.sub(r"//.*", "", path.read_text("utf-8"))
        assert not re.search("[가-힣]", code), path.name
        labels = re.findall(r'"aria-label": "|title: "[A-Z]|placeholder: "', code)
        assert labels == [], path.name


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(theme: int) -> None:
    colours = {name: (light, dark) for name, light, dark in LIGHT_DARK.findall((STATIC / "app.css").read_text("utf-8"))}
    pairs = [(text, ground) for text in TEXTS for ground in GROUNDS] + WASHES
    weak = {pair: round(contrast(colours[pair[0]][theme], colours[pair[1]][theme]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
