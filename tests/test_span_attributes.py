"""What a span tells of a trace, whatever is in that: no attribute that a collector could not take."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.span_attributes import attributes_of, error_of, name_of
from app.trace import Trace
from app.utils.model_resolver import resolve_model
from tests.conftest import provider_at, settings_for

SETTINGS = settings_for({"up": provider_at("http://user:secret@relay.example:8443/v1?key=secret", "relay")})


def trace(path="/v1/chat/completions", **body):
    made = Trace("POST", path)
    made.note("client_request", {"model": "some-model", **body})
    made.note("resolved", resolve_model("some-model", SETTINGS))
    return made


def told(made, content=False):
    return attributes_of(made, made.summary(), content)


def test_an_address_is_host_and_port_and_never_its_key():
    found = told(trace())
    assert (found["server.address"], found["server.port"]) == ("relay.example", 8443)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("body", "name", "value"),
    (
        ({"max_completion_tokens": 9}, "gen_ai.request.max_tokens", 9),
        ({"top_k": 40}, "gen_ai.request.top_k", 40),
        ({"n": 2}, "gen_ai.request.choice.count", 2),
        ({"n": 1}, "gen_ai.request.choice.count", None),
        ({"temperature": "hot"}, "gen_ai.request.temperature", None),
        ({"seed": 2**70}, "gen_ai.request.seed", None),
        ({"response_format": {"type": "json_schema"}}, "gen_ai.output.type", "json"),
        ({"response_format": {"type": "text"}}, "gen_ai.output.type", "text"),
        ({}, "gen_ai.output.type", None),
    ),
)
def test_parameters(body, name, value):
    assert told(trace(**body)).get(name) == value


def test_what_was_sent_counts_not_what_was_asked():
    made = trace(temperature=1.5)
    made.note("upstream_request", {"temperature": 1.0})
    assert told(made)["gen_ai.request.temperature"] == 1.0


@pytest.mark.parametrize(("path", "name"), (("/v1/chat/completions?a=b", "chat some-model"),
                                            ("/api/generate", "text_completion some-model")))
def test_the_name_says_what_is_done_by_which_model(path, name):
    assert name_of(trace(path)) == name


@pytest.mark.parametrize(
    ("error", "cancelled", "status", "expected"),
    (("UpstreamTimeout", False, 504, "UpstreamTimeout"), (None, True, 200, "ClientGone"), (None, False, 413, "413"),
     (None, False, 200, None), (None, False, None, None)),
)
def test_how_it_ended(error, cancelled, status, expected):
    measures = SimpleNamespace(error=error, cancelled=cancelled)
    assert error_of(SimpleNamespace(measures=measures), {"status": status}) == expected


fields = st.sampled_from(("messages", "prompt", "tools", "n", "temperature", "response_format", "stream", "choices", "id",
                          "model", "content", "role", "type"))  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4), max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(fields, junk), junk, junk)
def test_every_attribute_is_of_a_kind_that_can_be_sent(body, answer, usage):
    made = trace(**(body | {"stream": False}))
    made.note("upstream_response", answer)
    made.note("answer", {"usage": usage, "choices": answer})
    for name, value in told(made, content=True).items():
        kinds = {type(item) for item in value} if isinstance(value, list) else {type(value)}
        assert kinds <= {str, bool, int, float} and len(kinds) <= 1, (name, value)
        assert not isinstance(value, int) or abs(value) < 1 << 63
