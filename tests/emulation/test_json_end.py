"""Where an object ends, however its text is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.emulation.json_end import JsonEnd
from tests.emulation.reading import at

VALUES = st.recursive(
    st.text(max_size=6) | st.sampled_from(['"', "\\", "}", "{]", '\\"']) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(
    st.dictionaries(st.text(max_size=4), VALUES), st.sampled_from(["", "}", ') {"', '"']), st.lists(st.integers(0, 99))
)
def test_the_end_is_found_wherever_the_text_is_cut(value, behind, places):
    text = json.dumps(value)
    end, fed = JsonEnd(), 0
    for piece in at(text + behind, places):
        found = end.feed(piece)
        if found >= 0:
            assert fed + found == len(text)
            return
        fed += len(piece)
    pytest.fail("no end")


@pytest.mark.parametrize("text", ("{", '{"a":"}', '{"a":[1}', '{"a":"\\"}', ""))
def test_an_open_object_has_no_end(text):
    if text == '{"a":[1}':  # brackets of both kinds count alike
        assert JsonEnd().feed(text + "]") == len(text) + 1
    else:
        assert JsonEnd().feed(text) == -1


def test_it_begins_where_it_is_told():
    end = JsonEnd()
    assert end.feed('x {"a', 2) == -1 and end.quoted
    assert end.feed('":{}} tail') == 5
