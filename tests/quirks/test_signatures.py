import pytest

from app.quirks import signatures as rules
from app.quirks.signatures import DUMMY, decode_id, encode_id, is_signature_error, read_signature, with_dummy_signatures
from tests.quirks.targets import apply, facts


def call(identifier: str, **more: object) -> dict:
    return {"id": identifier, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def google(signature: str) -> dict:
    return {"extra_content": {"google": {"thought_signature": signature}}}


def history(*steps: list[dict]) -> dict:
    return {"messages": [{"role": "assistant", "tool_calls": calls} for calls in steps]}


def signatures_of(body: dict) -> list[list[str | None]]:
    return [[read_signature(one) for one in message["tool_calls"]] for message in body["messages"]]


@pytest.mark.parametrize(
    ("carrier", "expected"),
    (
        (google("S"), "S"),
        ({"extra_content": {"vertex": {"thought_signature": "S"}}}, "S"),
        ({"provider_specific_fields": {"thought_signature": "S"}}, "S"),
        ({"thought_signature": "S"}, "S"),
        ({"function": {"thought_signature": "S"}}, "S"),
        ({"function": {"provider_specific_fields": {"thought_signature": "S"}}}, "S"),
        (google(""), None),
        ({"extra_content": "junk", "function": None}, None),
    ),
)
def test_a_signature_is_found_wherever_gateways_put_it(carrier, expected):
    assert read_signature(carrier) == expected


def test_an_id_carries_a_signature_and_gives_it_back():
    assert decode_id(encode_id("call_1", "S+/=")) == ("call_1", "S+/=")
    assert encode_id(encode_id("call_1", "old"), "new") == "call_1__thought__new"
    assert decode_id("call_1") == ("call_1", None)
    assert decode_id("call_1__thought__") == ("call_1", None)


@pytest.mark.parametrize(("model", "kept"), (("gemini-3-pro", "S"), ("some-model", None)))
def test_suffixes_never_go_upstream(model, kept):
    body = history([call("a__thought__S")])
    body["messages"].append({"role": "tool", "tool_call_id": "a__thought__S", "content": "x"})
    stripped, places = apply(rules.strip_suffixes, body, facts(model))
    message, answer = stripped["messages"]
    assert message["tool_calls"][0]["id"] == answer["tool_call_id"] == "a"
    assert read_signature(message["tool_calls"][0]) == kept
    assert len(places) == 1


def test_own_first_then_the_store_then_the_dummy():
    body = history([call("a", **google("OWN")), call("b")], [call("c"), call("d")], [call("e")])
    known = facts()._replace(signatures=lambda ids: {name: f"stored {name}" for name in ids if name == "c"})
    restored, places = apply(rules.restore, body, known)
    assert signatures_of(restored) == [["OWN", None], ["stored c", None], [DUMMY]]
    assert places == ["messages[1].tool_calls[0]", "messages[2].tool_calls[0]"]
    again, places = apply(rules.restore, restored, known)
    assert again == restored and places == []


def test_a_signature_in_another_field_moves_where_it_is_read():
    restored, _ = apply(rules.restore, history([call("a", provider_specific_fields={"thought_signature": "S"})]))
    assert restored["messages"][0]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "S"}}


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    (
        ("gemini-2.5-pro", {}, [None, None]),
        ("gemini-3-pro", {}, [DUMMY, None]),
        ("gemini-flash-latest", {}, [DUMMY, None]),  # unknown names get the newest behaviour
        ("gemini-3-pro", {"dummySignatureOn": "all"}, [DUMMY, DUMMY]),
        ("gemini-3-pro", {"dummySignatureOn": "off"}, [None, None]),
        ("gemini-3-pro", {"dummySignature": "x", "dummySignatureEncoding": "base64"}, ["eA==", None]),
    ),
)
def test_the_dummy_is_a_setting(model, options, expected):
    restored, _ = apply(rules.restore, history([call("a"), call("b")]), facts(model, **options))
    assert signatures_of(restored) == [expected]


def test_the_namespace_is_a_setting():
    restored, _ = apply(rules.restore, history([call("a")]), facts(signatureNamespace="vertex"))
    assert restored["messages"][0]["tool_calls"][0]["extra_content"] == {"vertex": {"thought_signature": DUMMY}}


def test_a_native_translation_reads_its_own_field():
    native = facts()._replace(openai_dialect=False)
    restored, _ = apply(rules.restore, history([call("a", **google("S"))]), native)
    assert restored["messages"][0]["tool_calls"][0]["provider_specific_fields"] == {"thought_signature": "S"}


@pytest.mark.parametrize(
    ("text", "expected"),
    (
        ("Function call is missing a thought_signature in functionCall parts.", True),
        ("Corrupted thought signature.", True),
        ("Thought signature is not valid", True),
        ("Request contains an invalid argument.", False),
    ),
)
def test_the_error_is_known_by_its_words(text, expected):
    assert is_signature_error(text) is expected


def test_all_signatures_are_replaced_for_the_retry():
    body = history([call("a", **google("bad")), call("b", **google("bad"))], [call("c", thought_signature="bad")])
    body["messages"].append({"role": "user", "content": "x"})
    retried = with_dummy_signatures(body, facts("gemini-2.5-pro"))
    assert [[read_signature(one) for one in message.get("tool_calls", ())] for message in retried["messages"]] == [
        [DUMMY, None], [DUMMY], [],
    ]  # fmt: skip
    assert read_signature(body["messages"][0]["tool_calls"][0]) == "bad"
