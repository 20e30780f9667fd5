import json

from hypothesis import given
from hypothesis import strategies as st

from app.utils.masking import Masker
from app.utils.stream_masking import MOST_TEXTS, StreamMasker

KEY = "AIzaSyCANARY0123456789abcdefghijk9xYz"
OWN = "my-configured-key-0123456789"


def pieces_of(text, cuts):
    places = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in zip(places, places[1:], strict=False)]


def longest_shown(secret, shown):
    """Return the length of the longest part of `secret` that `shown` holds."""
    return max(n for n in range(len(secret) + 1) for s in range(len(secret) - n + 1) if secret[s : s + n] in shown)


@given(st.sets(st.integers(0, len(OWN) + 16)), st.sampled_from(["", "text before ", "my-con my-"]))
def test_of_a_configured_key_cut_anywhere_at_most_four_characters_are_shown(cuts, before):
    text = f"{before}{OWN} after"
    mask = StreamMasker(Masker([OWN]))
    shown = "".join(mask.mask_fragment(("x",), piece) for piece in pieces_of(text, cuts))
    assert OWN not in shown
    assert longest_shown(OWN, shown.replace(before, "", 1)) <= 6  # "my-con" of the text before may stand alone
    assert shown.endswith(" after")


@given(st.integers(1, len(KEY) - 1))
def test_the_rest_of_an_unknown_key_is_hidden_once_its_shape_is_known(cut):
    mask = StreamMasker(Masker())
    shown = mask.mask_fragment(("x",), KEY[:cut]) + mask.mask_fragment(("x",), KEY[cut:])
    assert KEY not in shown
    assert longest_shown(KEY, shown) <= 13


def test_a_long_key_stays_hidden_over_many_pieces():
    mask = StreamMasker(Masker())
    shown = mask.mask_fragment(("x",), "sk-abcdefgh") + "".join(
        mask.mask_fragment(("x",), "Zz9" * 30) for _ in range(40)
    )
    assert "Zz9" not in shown
    assert mask.mask_fragment(("x",), " and then text") == " and then text"


def test_text_without_keys_passes_unchanged():
    mask = StreamMasker(Masker([OWN]))
    assert [mask.mask_fragment(("x",), piece) for piece in ("Hello ", "my ", "friend", "")] == [
        "Hello ",
        "my ",
        "friend",
        "",
    ]


def test_texts_of_different_choices_and_fields_are_kept_apart():
    mask = StreamMasker(Masker([OWN]))
    mask.mask_event({"choices": [{"index": 0, "delta": {"content": OWN[:15]}}]})
    other = mask.mask_event({"choices": [{"index": 1, "delta": {"content": OWN[15:]}}]})
    assert other == {"choices": [{"index": 1, "delta": {"content": OWN[15:]}}]}
    same = mask.mask_event({"choices": [{"index": 0, "delta": {"content": OWN[15:]}}]})
    assert same == {"choices": [{"index": 0, "delta": {"content": "…"}}]}


def test_arguments_of_a_tool_call_are_followed_by_its_index():
    mask = StreamMasker(Masker([OWN]))

    def chunk(text):
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 2, "function": {"arguments": text}}]}}]}

    first = json.dumps(mask.mask_event(chunk(OWN[:9])))
    second = json.dumps(mask.mask_event(chunk(OWN[9:])), ensure_ascii=False)
    assert OWN[:9] not in first
    assert OWN[9:] not in second and "…" in second


def test_what_stands_outside_the_deltas_is_masked_by_itself():
    masked = StreamMasker(Masker()).mask_payload(
        json.dumps({"id": KEY, "choices": [], "error": {"message": KEY}}).encode()
    )
    assert masked == {"id": "AIza…9xYz", "choices": [], "error": {"message": "AIza…9xYz"}}


def test_a_payload_that_is_not_json_is_masked_as_text():
    mask = StreamMasker(Masker([OWN]))
    assert mask.mask_payload(b'{"cut": "' + OWN[:10].encode()) == '{"cut": "my-c…'
    assert mask.mask_payload(OWN[10:].encode() + b" x") == "… x"


def test_the_number_of_texts_that_are_followed_is_bounded():
    mask = StreamMasker(Masker([OWN]))
    for index in range(MOST_TEXTS * 3):
        mask.mask_fragment((index,), "text")
    assert len(mask._tails) == MOST_TEXTS


def test_the_frames_of_the_websocket_are_no_secrets_and_continue_each_other():
    mask = StreamMasker(Masker([OWN]))
    shown = [mask.mask_payload(json.dumps({"token": piece})) for piece in ("Hello ", OWN[:15], OWN[15:], " you")]
    assert [shown[0], shown[-1]] == [{"token": "Hello "}, {"token": " you"}]
    assert longest_shown(OWN, "".join(frame["token"] for frame in shown)) <= 4
