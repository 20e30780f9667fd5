"""Texts without keys stay as they are to the byte; keys are hidden, also those that are cut over texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.exact_masking import mask_payloads, mask_writes
from app.utils.masking import Masker

OWN = "my-configured-key-0123456789"
SHAPED = "AIzaSyCANARY0123456789abcdefghijk9xYz"
MASKER = Masker([OWN])


def chunk(text, **rest):
    return json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} | rest)


def words(payloads):
    return "".join(json.loads(payload)["choices"][0]["delta"]["content"] for payload in payloads)


ODD_TEXTS = (
    '{"choices": [ {"delta" :{"content":"caf\\u00e9 \\ud83d"}}]}',  # spaces, escapes, a lone surrogate
    '{"a":1,"a":2}',
    "[DONE]",
    ": keep-alive",
    "",
    "no json \udcff\udc80",
    '{"usage":{"prompt_tokens":12,"total_tokens":1e3,"nan":NaN}}',
    "[1, 2",
    "[" * 5_000,
    '{"choices":[null, 7, {"delta":null,"logprobs":{"content":[{"token":"hello-world","logprob":-1}]}}]}',
    '{"token":"Hello "}',
    '{"choices":[{"index":0,"text":"long ' + "word " * 30_000 + '"}]}',
)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_what_holds_no_key_stays_as_it_is(text):
    assert mask_payloads(MASKER, [text, chunk("and on")]) == [text, chunk("and on")]
    write = f"data: {text}\n\ndata:{text}\n\nevent: x\n\n"
    assert mask_writes(MASKER, [write, ": ping\n\n"]) == [write, ": ping\n\n"]


@pytest.mark.parametrize("text", ODD_TEXTS[:-3], ids=range(len(ODD_TEXTS) - 3))
def test_a_key_beside_it_changes_nothing_of_it(text):
    shown = mask_payloads(MASKER, [text, chunk(f"is {SHAPED}.")])
    assert shown == [text, chunk("is ….").replace("\\u2026", "…")]
    assert words(shown[1:]) == "is …."


@given(st.sets(st.integers(0, 60)), st.sampled_from((OWN, SHAPED)), st.booleans())
def test_a_key_cut_anywhere_is_hidden_wholly(cuts, key, as_writes):
    text = f"the key is {key} and no other"
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    payloads = [chunk(text[start:end]) for start, end in zip(places, places[1:], strict=False)]
    if as_writes:
        writes = mask_writes(MASKER, [f"data: {payload}\n\n" for payload in payloads])
        assert all(write.startswith("data: {") and write.endswith("}\n\n") for write in writes)
        shown = [write[6:-2] for write in writes]
    else:
        shown = mask_payloads(MASKER, payloads)
    assert words(shown) == "the key is … and no other"
    untouched = [payload for payload in payloads if not set(words([payload])) & set(key)]
    assert set(untouched) <= set(shown)


def test_texts_of_other_choices_and_fields_are_kept_apart():
    def two(first, second):
        deltas = ({"content": first, "reasoning": second}, {"content": second})
        return json.dumps({"choices": [{"index": n, "delta": delta} for n, delta in enumerate(deltas)]})

    payloads = [two(OWN[:14], "a"), two("b", OWN[14:]), two(OWN[:14], OWN[:14]), two(OWN[14:], "c")]
    shown = mask_payloads(MASKER, payloads)
    assert shown[:2] == payloads[:2] and shown[2:] != payloads[2:]
    assert OWN[:14] not in json.loads(shown[2])["choices"][0]["delta"]["content"]
    assert json.loads(shown[2])["choices"][1]["delta"]["content"] == OWN[:14]


def test_arguments_of_a_call_are_joined_by_its_index():
    def call(arguments):
        return json.dumps({"choices": [{"delta": {"tool_calls": [{"index": 1, "function": {"arguments": arguments}}]}}]})

    shown = mask_payloads(MASKER, [call('{"x": "' + OWN[:10]), call(OWN[10:] + '"}')])
    pieces = [json.loads(text)["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for text in shown]
    assert pieces == ['{"x": "…', '"}']


@pytest.mark.parametrize(
    "payload",
    (
        json.dumps({"error": {"message": f"wrong key {OWN}"}}),
        json.dumps({"choices": [], "api_key": "short-one-1"}),
        json.dumps({"choices": [{"delta": {"content": "x", "password": "hunter2-hunter2"}}]}),
        json.dumps({"choices": [{"delta": {OWN: "x"}}]}),
        f'{{"a":"{OWN}","a":"the second one counts"}}',
        f"text with {OWN}",
        f'["\\u0041{SHAPED[1:]}"]',
    ),
)
def test_keys_are_found_everywhere(payload):
    (shown,) = mask_payloads(MASKER, [payload])
    (write,) = mask_writes(MASKER, [f"data: {payload}\n\n"])
    for text in (shown, write):
        decoded = text + (str(json.loads(shown)) if shown[0] in "[{" else "")
        assert not [key for key in (OWN, SHAPED, "short-one-1", "hunter2-hunter2") if key in decoded], decoded
    assert write == f"data: {shown}\n\n"


def test_a_cut_text_that_is_no_json_is_joined():
    shown = mask_payloads(MASKER, [f"x {OWN[:9]}", f"{OWN[9:]} y"])
    assert shown == ["x …", " y"]


@given(st.lists(st.text(alphabet="aK-:\" \\{}[],\n\u00e9\ud800", max_size=30), max_size=6))
def test_nothing_raises_and_the_number_of_texts_stays(texts):
    assert len(mask_payloads(MASKER, texts)) == len(texts)
    assert mask_writes(MASKER, texts) == texts or any(":" in text for text in texts)


@given(st.sets(st.integers(0, 60)), st.sampled_from((OWN, SHAPED)))
def test_a_key_cut_over_frames_of_the_websocket_is_hidden_wholly(cuts, key):
    text = f"the key is {key} and no other"
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    frames = [json.dumps({"token": text[start:end]}) for start, end in zip(places, places[1:], strict=False)]
    assert "".join(json.loads(frame)["token"] for frame in mask_payloads(MASKER, frames)) == "the key is … and no other"


def test_a_secret_that_is_called_token_is_hidden():
    for event in ({"token": "abcd-efgh-0123", "more": 1}, {"x": {"token": "abcd-efgh-0123"}}):
        assert "efgh" not in mask_payloads(MASKER, [json.dumps(event)])[0]
