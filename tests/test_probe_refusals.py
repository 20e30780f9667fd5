"""Group testing: what is refused is found with few questions, and what could not be asked is said to be unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.probe_refusals import (
    PARAMETERS,
    SCHEMAS,
    blamed_keywords,
    blamed_parameters,
    find_refused,
    property_of,
    schema_of,
)
from tests import gemini_rules as rules

NAMES = list("abcdefghijklmnop")


class Upstream:
    """Refuses some names; `names_them` tells whether it says which."""

    def __init__(self, refused, names_them=False):
        self.refused, self.names_them, self.asked = set(refused), names_them, 0

    def __call__(self, group):
        self.asked += 1
        bad = self.refused & set(group)
        return not bad, bad if self.names_them else ()


@given(st.sets(st.sampled_from(NAMES)))
def test_halving_finds_all_that_is_refused(refused):
    upstream = Upstream(refused)
    verdict = find_refused(NAMES, upstream, 100)
    assert (set(verdict.refused), verdict.unknown) == (refused, [])
    assert set(verdict.accepted) == set(NAMES) - refused


@given(st.sets(st.sampled_from(NAMES)))
def test_names_in_the_refusal_make_it_two_questions(refused):
    upstream = Upstream(refused, names_them=True)
    verdict = find_refused(NAMES, upstream, 100)
    assert set(verdict.refused) == refused and upstream.asked <= 2


@given(st.sets(st.sampled_from(NAMES), min_size=1), st.integers(0, 12))
def test_questions_are_bounded_and_nothing_gets_lost(refused, questions):
    upstream = Upstream(refused)
    verdict = find_refused(NAMES, upstream, questions)
    assert upstream.asked <= questions
    assert sorted(verdict.refused + verdict.accepted + verdict.unknown) == NAMES
    assert set(verdict.refused) <= refused and not refused & set(verdict.accepted)


@given(st.sampled_from(NAMES))
def test_one_among_sixteen_takes_six_questions(name):
    upstream = Upstream({name})
    assert find_refused(NAMES, upstream, 100).refused == [name] and upstream.asked <= 6


def test_no_telling_is_unknown():
    assert find_refused(NAMES, lambda group: (None, ()), 5).unknown == NAMES


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_endpoint_names_each_keyword_it_refuses(name):
    complaints = "\n".join(rules.schema_complaints(schema_of([name, "title"]), "tools[0].function_declarations[0].parameters"))
    named = blamed_keywords([name, "title"], complaints)
    alone = list(rules.schema_complaints(schema_of([name]), "parameters"))
    assert "title" in named and (name in named) == bool(alone), complaints


def test_a_property_is_named_where_the_keyword_is_not():
    assert blamed_keywords(["const", "title"], "Invalid schema for p_const: nope") == {"const"}
    assert blamed_keywords(["const", "title"], "at 'tools[0].parameters.properties[1].value': bad") == {"title"}


def test_parameters_are_named_as_words():
    words = 'Invalid JSON payload received. Unknown name "top_k": Cannot find field.'
    assert blamed_parameters(list(PARAMETERS), words) == {"top_k"}
    assert blamed_parameters(["reasoning", "n"], "Unknown parameter: 'reasoning_effort'") == set()


def test_every_schema_is_one_property():
    whole = schema_of(list(SCHEMAS))
    assert list(whole["properties"]) == [property_of(name) for name in SCHEMAS]
    assert len(whole["properties"]) == len(SCHEMAS)
