"""The rules that are only told of: what the text layers note is known to the documents and to GET /v1/repairs."""

import re
from pathlib import Path

from app.quirks.registry import all_rules, unknown_ids
from app.quirks.text_calls import RULES

APP = Path(__file__).resolve().parents[2] / "app"


def test_each_says_what_departs():
    assert all(len(rule.departure) > 20 for rule in RULES)


def test_ids_are_unique_among_all_rules():
    ids = [rule.id for rule in all_rules()]
    assert len([each for each in ids if each in {rule.id for rule in RULES}]) == len(RULES)


def test_what_the_text_layers_note_is_a_rule():
    noted = set()
    for path in (*APP.glob("emulation/*.py"), APP / "emulated.py", *APP.glob("engines/*.py")):
        noted |= set(re.findall(r'"((?:emulation|harmony)\.[a-z_]+)"', path.read_text("utf-8")))
    assert noted and unknown_ids(noted) == []
    assert {rule.id for rule in RULES} == noted
