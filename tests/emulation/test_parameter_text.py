"""Arguments as tags, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.parameter_text import ParameterScan


def scan(text: str, size: int = 0) -> tuple[dict[str, str], str, bool]:
    """Return the values, what is left behind them, and whether they ended well."""
    found, rest = ParameterScan(), ""
    for start in range(0, len(text), size or len(text)):
        rest += text[start : start + (size or len(text))]
        rest = rest[found.feed(rest, 0, False) :]
    rest = rest[found.feed(rest, 0, True) :]
    assert found.done != found.failed
    return found.values, rest, found.whole and not found.failed


CASES = (
    ("<parameter=a>1</parameter></function>", {"a": "1"}, "</function>", True),
    ("\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n\n2\n\n</parameter>\n</f", {"a": "1", "b": "\n2\n"}, "</f", False),
    ("<parameter=a>1</parameter> <parameter=b>2</parameter></function>", {"a": "1", "b": "2"}, "</function>", True),
    ("<parameter='a'>x</parameter></tool_call>", {"a": "x"}, "</tool_call>", True),
    ("<parameter=a>x </parameter> y</parameter></function>", {"a": "x </parameter> y"}, "</function>", True),
    ("<parameter=a>x</function> y</parameter></function>", {"a": "x</function> y"}, "</function>", True),
    ("<parameter=a>x</function>\n</tool_call>", {"a": "x"}, "</function>\n</tool_call>", True),
    ("<parameter=a>x</parameter>", {"a": "x"}, "", False),
    ("<parameter=a>x</parameter>\n<parameter=b>y", {"a": "x", "b": "y"}, "", False),
    ("<parameter=a>x</para", {"a": "x</para"}, "", False),
    ("<parameter=a>x</parameter> y", {"a": "x</parameter> y"}, "", False),
    ("<parameter=a", {}, "a", False),
    ("<parameter=a>x</parameter><b>", {"a": "x</parameter><b>"}, "", False),
    ("junk", {}, "junk", False),
    (f"<parameter={'n' * 200}>", {}, "n" * 200 + ">", False),
)


@pytest.mark.parametrize(("text", "values", "rest", "whole"), CASES)
def test_parameters_are_read_wherever_they_are_cut(text, values, rest, whole):
    for size in (0, 1, 2, 3, 7):
        assert scan(text, size) == (values, rest, whole)


@given(st.lists(st.sampled_from(("<parameter=a>", "</parameter>", "</function>", "</function", "</tool_call>", " ", "x", "<")),
                max_size=10), st.integers(1, 9))
def test_how_it_is_cut_makes_no_difference(parts, size):
    text = "".join(parts)
    assert scan(text + ".", size) == scan(text + ".")
