"""Markers in the body of a call: which are text, and where a body broke off."""

import pytest

from app.emulation.harmony_arguments import Arguments


def arguments(*parts):
    """Take parts in turn, markers are those in angle brackets; return the body and the markers that were not text."""
    body, real = Arguments(), []
    for part in parts:
        if not part.startswith("<|"):
            body.add(part)
        elif not body.takes(part, False):
            real.append(part)
    return body, real


@pytest.mark.parametrize(
    ("parts", "real"),
    (
        (('{"a": "', "<|end|>", '"}', "<|call|>"), ["<|call|>"]),
        (('{"a": "', "<|call|>", "<|start|>", '"}', "<|return|>"), ["<|return|>"]),
        (('{"', "<|end|>", '": 1}', "<|call|>"), ["<|call|>"]),
        (('["', "<|end|>", '"]', "<|call|>"), ["<|call|>"]),
        ((" \n", '{"a": "', "<|end|>", '"}', "<|call|>"), ["<|call|>"]),
        (('{"a": "\\', "<|end|>", '", "b": 1}', "<|call|>"), ["<|call|>"]),
        (('{"a": "x\\"', "<|end|>", '"}', "<|call|>"), ["<|call|>"]),
        (('{"a": ', "<|end|>"), ["<|end|>"]),
        (('{"a": "x"}', "<|end|>"), ["<|end|>"]),
        (('{"a": "x"} "', "<|end|>"), ["<|end|>"]),
        (('print("', "<|end|>", '")', "<|call|>"), ["<|end|>", "<|call|>"]),
        (('"', "<|end|>"), ["<|end|>"]),
        (("<|end|>",), ["<|end|>"]),
        ((" ", "<|end|>"), ["<|end|>"]),
    ),
)
def test_a_marker_in_an_open_string_is_text(parts, real):
    for pieces in (parts, [piece for part in parts for piece in ([part] if part.startswith("<|") else part)]):
        body, found = arguments(*pieces)
        assert found == real
        assert body.text == "".join(part for part in parts if part not in real)


@pytest.mark.parametrize(
    ("parts", "ended", "place"),
    (
        (('{"a": "', "<|end|>", '"}'), True, None),
        (('{"a": "', "<|call|>", "<|start|>", "assistant", '"}'), True, None),  # sound JSON is the stronger sign
        (('{"a": "', "<|call|>", "<|start|>", '",}'), True, None),
        (('{"a": "', "<|call|>", "<|start|>", '"} and more'), False, None),
        (('{"a": "', "<|call|>", "<|start|>", '" b}'), False, 1),
        (('{"a": "', "<|end|>", "x", '" b}'), False, None),
        (('{"a": "', "<|call|>"), True, 1),
        (('{"a": "', "<|call|>", " \n"), True, 1),
        (('{"a": "', "<|call|>"), False, None),
        (('{"a": "', "<|end|>", " here ", "<|return|>"), True, 3),
        (('{"a": "', "<|end|>", " ", "<|start|>", "user"), True, 1),
        (('{"a": "', "<|message|>", "x", "<|start|>"), True, None),
        (('{"a": "x',), True, None),
    ),
)
def test_where_a_body_broke_off(parts, ended, place):
    body, _ = arguments(*parts)
    assert body.broken_at(ended) == place


def test_what_follows_the_break_is_given_back():
    body = Arguments()
    body.add('{"a": "x')
    assert body.takes("<|end|>", True) and body.takes("<|start|>", False)
    body.add("assistant")
    assert body.in_string and not body.ends_with_end()
    assert body.cut_at(1) == [("<|end|>", True), ("<|start|>", False), ("assistant", None)]
    assert body.text == '{"a": "x'


@pytest.mark.parametrize(
    ("parts", "ends"),
    (
        (('{"', "<|call|>"), True),
        (('{"', "<|end|>", " "), True),
        (('{"', "<|start|>"), False),
        (('{"',), False),
        ((), False),
    ),
)
def test_whether_an_end_comes_last(parts, ends):
    assert arguments(*parts)[0].ends_with_end() is ends
