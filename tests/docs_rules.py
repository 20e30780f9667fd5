"""The table of repairs in API_SPEC.md, made from the rules: what they say of themselves is what is printed."""

import re
from pathlib import Path

from app.quirks.registry import all_rules
from app.quirks.rule import Rule

PLACE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)
HEAD = "| rule | on | for | what departs |\n|---|---|---|---|\n"


def format_rules() -> str:
    """Return the table, one row for each rule, in the order in which they run."""
    return "\n" + HEAD + "".join(_row(rule) for rule in all_rules()) + "\n"


def _row(rule: Rule) -> str:
    departure = re.sub(r"- (?=[a-z.]+#\d)", "-", rule.departure).replace("|", "\\|")  # a name wrapped at its hyphen
    return f"| `{rule.id}` | {rule.stage} | {', '.join(rule.families) or 'all'} | {departure} |\n"


def read_table(path: Path) -> str:
    """Return the table as it stands in the document."""
    found = PLACE.search(path.read_text("utf-8"))
    return found[0] if found else ""


def write_table(path: Path) -> None:
    """Put the table of today into the document."""
    path.write_text(PLACE.sub(lambda _: format_rules(), path.read_text("utf-8")), "utf-8")
