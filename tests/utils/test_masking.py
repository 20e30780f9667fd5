import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utils.masking import TOO_DEEP, Masker, is_secret_name, show_ends

KEY = "AIzaSyCANARY0123456789abcdefghijk9xYz"
TRICKY = 'p@ss/word+"quoted"\\é\n%7E'
secrets = st.text(min_size=8, max_size=60).filter(lambda text: len(text.strip()) >= 8 and text == text.strip())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        (KEY, "AIza…9xYz"),
        ("abcdefghijkl", "abcd…ijkl"),
        ("abcdefghijk", "…"),
        ("x", "…"),
        ("AIza…9xYz", "AIza…9xYz"),
    ],
)
def test_at_most_four_characters_at_each_end_are_shown(secret, shown):
    assert show_ends(secret) == shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"key {KEY}!", "key AIza…9xYz!"),
        ("sk-proj-abcdefgh12345678", "sk-p…5678"),
        ("sk-ant-api03-abcdefgh12345678", "sk-a…5678"),
        ('{"a": "x\\nsk-abcdefgh12345678"}', '{"a": "x\\nsk-a…5678"}'),
        ("k%3Dsk-abcdefgh12345678", "k%3Dsk-a…5678"),
        ("gsk_abcdefgh12345678", "gsk_…5678"),
        ("ghp_abcdefgh12345678", "ghp_…5678"),
        ("xai-abcdefgh12345678", "xai-…5678"),
        ("hf_abcdefgh12345678", "hf_a…5678"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIA…MPLE"),
        ("ya29.a0AfH6SMBx12345", "ya29…2345"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123", "eyJh…F123"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer abcd…5678"),
        ("authorization: bearer abcdefgh12345678", "authorization: bearer abcd…5678"),
        ("{'authorization': 'Bearer abcdefgh12345678'}", "{'authorization': 'Bearer abcd…5678'}"),
        ("[(b'authorization', b'Bearer abcdefgh12345678')]", "[(b'authorization', b'Bearer abcd…5678')]"),
        ('"{\\"api_key\\": \\"abcdefgh12345678\\"}"', '"{\\"api_key\\": \\"abcd…5678\\"}"'),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic …"),
        ("proxy Basic dXNlcjpwYXNzd29yZA== end", "proxy Basic … end"),
        ("https://h/v1?key=abc&x=1&access_token=zz", "https://h/v1?key=…&x=1&access_token=…"),
        ("https://user:pa55@h/v1", "https://user:…@h/v1"),
        ("GEMINI_API_KEY=abcdefgh12345678", "GEMINI_API_KEY=abcd…5678"),
        ("Cookie: sid=abc; theme=dark\nHost: h", "Cookie: …\nHost: h"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----…-----END RSA PRIVATE KEY-----",
        ),
    ],
)
def test_known_shapes(text, masked):
    assert Masker().mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 100000000000",
        '"prompt_tokens": 12345678, "token": 12345678',
        "task-management-system is a basic functionality of the desk-organizer",
        "def token(self): return self.tokens",
        '{"properties": {"password": {"type": "string"}}}',
        "http://127.0.0.1:8000/v1/models?limit=5",
        "한국어 텍스트 🙂",
    ],
)
def test_ordinary_text_stays(text):
    assert Masker().mask_text(text) == text


def encodings(secret):
    raw = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        repr(secret)[1:-1],
        repr(raw)[2:-1],
        html.escape(secret),
    ]


@given(secrets, st.text(max_size=30), st.text(max_size=30))
def test_no_configured_secret_survives_in_any_encoding(secret, before, after):
    masker = Masker([secret])
    for encoded in encodings(secret):
        assert encoded not in masker.mask_text(before + encoded + after)
    assert secret not in masker.mask_text((before + secret + after).encode())
    assert secret not in masker.mask(ValueError(before + secret + after))


@given(secrets, json_values, st.text(max_size=10))
def test_no_configured_secret_survives_inside_json_values(secret, value, around):
    deep = {"deep": (around + secret + around).encode()}
    whole = {around + secret: [value, deep], "list": [secret], "value": value}
    masked = Masker([secret]).mask(whole)

    def texts(item):
        if isinstance(item, dict):
            return [text for key, entry in item.items() for text in [key, *texts(entry)]]
        if isinstance(item, list):
            return [text for entry in item for text in texts(entry)]
        return [str(item)]

    assert not any(secret in text for text in texts(masked))


@given(secrets, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_a_secret_does_not_survive_at_any_offset(secret, before, after):
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    masked = Masker([secret]).mask_text("Basic-like " + encoded)
    start, end = len(before), len(before) + len(secret.encode())
    assert encoded[(start * 8 + 5) // 6 : end * 8 // 6] not in masked


@given(st.lists(secrets, max_size=3), json_values)
def test_masking_twice_is_masking_once(keys, value):
    masker = Masker(keys)
    assert masker.mask(masker.mask(value)) == masker.mask(value)


PIECES = [
    KEY,
    "sk-",
    "Bearer ",
    "authorization",
    "api_key",
    "=",
    ": ",
    '"',
    "\\",
    "…",
    "://",
    "@",
    "?key=",
    "&token=",
    "abcdefgh12",
    "eyJ",
    ".",
    "AKIA",
    "0123456789AB",
    "Basic ",
    "Cookie: a=",
    "\n",
    "-----BEGIN PRIVATE KEY-----",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14), st.lists(secrets, max_size=2))
def test_masking_text_twice_is_masking_once(pieces, keys):
    masker = Masker([*keys, KEY])
    text = "".join(pieces)
    assert masker.mask_text(masker.mask_text(text)) == masker.mask_text(text)
    assert KEY not in masker.mask_text(text)


def test_two_keys_that_overlap_are_hidden_together():
    first, second = "abcdefghijklmnop", "mnopqrstuvwxyz0123"
    assert Masker([first, second]).mask_text("<abcdefghijklmnopqrstuvwxyz0123>") == "<…>"


def test_a_key_that_holds_an_ellipsis_is_not_put_together_again():
    secret = "ab…cdefghi"
    assert secret not in Masker([secret]).mask_text("ab" + secret + "cdefghi")


def test_a_tricky_key_is_found_in_a_url_and_in_json():
    masker = Masker([TRICKY])
    for encoded in encodings(TRICKY):
        assert masker.mask_text(f"<{encoded}>") != f"<{encoded}>"


def test_short_keys_are_hidden_by_name_only():
    masker = Masker(["ollama"])
    assert masker.mask({"apiKey": "ollama", "model": "ollama/x"}) == {"apiKey": "…", "model": "ollama/x"}


def test_fields_are_masked_by_name():
    assert Masker().mask(
        {
            "Authorization": "Bearer abcdefgh12345678",
            "x-goog-api-key": "abcdefgh12345678",
            "GROQ_API_KEY": "abcdefgh12345678",
            "password": "hunter2-hunter2",
            "Set-Cookie": ["sid=1", "b=2"],
            "client_secret": "abcdefgh12345678",
            "token": 5,
            "max_tokens": 1000,
            "tools": {"token": {"type": "string"}},
        }
    ) == {
        "Authorization": "Bearer abcd…5678",
        "x-goog-api-key": "abcd…5678",
        "GROQ_API_KEY": "abcd…5678",
        "password": "…",
        "Set-Cookie": ["…", "…"],
        "client_secret": "abcd…5678",
        "token": 5,
        "max_tokens": 1000,
        "tools": {"token": {"type": "string"}},
    }


def test_the_token_of_a_logprob_is_a_word_and_no_key():
    assert Masker().mask({"token": "Hello", "logprob": -0.1}) == {"token": "Hello", "logprob": -0.1}


@pytest.mark.parametrize("name", ["X-API-Key", "api-key", "apiKey", "db_password", "cookie", "aws_secret_access_key"])
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["max_tokens", "prompt_tokens", "key", "key_source", "tokenizer", "session", "model"])
def test_names_that_hold_no_secret(name):
    assert not is_secret_name(name)


def test_headers():
    headers = {"authorization": "Basic dXNlcjpwYXNz", "Host": "h", "X-Note": f"see {KEY}"}
    assert Masker().mask_headers(headers) == {"authorization": "Basic …", "Host": "h", "X-Note": "see AIza…9xYz"}


def test_url():
    assert (
        Masker(["canary-in-a-path"]).mask_url("https://u:p@h/canary-in-a-path?key=k") == "https://u:…@h/cana…path?key=…"
    )


def test_a_numeric_key_is_hidden_as_a_number_too():
    assert Masker(["123456789012"]).mask({"id": 123456789012, "n": 7}) == {"id": "1234…9012", "n": 7}


def test_the_value_itself_is_not_changed():
    value = {"list": [KEY], "apiKey": "x"}
    Masker().mask(value)
    assert value == {"list": [KEY], "apiKey": "x"}


def test_values_nested_too_deeply_are_cut():
    value: object = KEY
    for _ in range(5_000):
        value = [value]
    assert TOO_DEEP in json.dumps(Masker().mask(value))


def test_spans_and_open_prefix():
    masker = Masker([KEY])
    assert masker.spans(f"a {KEY} b") == [(2, 2 + len(KEY))]
    assert masker.open_prefix(f"a {KEY[:12]}") == 2
    assert masker.open_prefix(f"a {KEY[:4]}") is None
    assert masker.open_prefix("nothing") is None


HOSTILE = [
    "eyJ",
    "Xsk-",
    "authorization",
    "://",
    "://a:",
    "api_key:",
    "cookie: a=",
    "Basic aaaaaa",
    'token":"',
    "\\",
    "-----BEGIN PRIVATE KEY-----",
    "-",
    " ",
    "a",
    "password: hunter22222 ",
    "?key=",
    "AIza",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_in_proportion_to_the_text(piece):
    """Eight times the text may take eight times as long; a quadratic scan would take sixty-four times."""
    masker = Masker([KEY])

    def seconds(size):
        text = piece * (size // len(piece))
        best = []
        for _ in range(3):
            start = time.process_time()
            masker.mask_text(text)
            best.append(time.process_time() - start)
        return min(best)

    small = seconds(50_000)
    assert seconds(400_000) < 24 * small + 0.02


SURROUNDINGS = st.text(alphabet=" \n\"'{}[]:,.é…🙂", max_size=10)


@given(SURROUNDINGS, SURROUNDINGS)
def test_shapes_are_found_whatever_surrounds_them(before, after):
    assert KEY not in Masker().mask_text(before + KEY + after)
