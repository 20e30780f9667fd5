import base64

import pytest

from app.secret_book import REMEMBERED, SecretBook, read_request_secrets

KEY = "canary-key-0123456789"


@pytest.mark.parametrize(
    ("headers", "arguments", "found"),
    [
        ({"Authorization": f"Bearer {KEY}"}, {}, (KEY,)),
        ({"Authorization": KEY}, {}, (KEY,)),
        ({"x-api-key": KEY}, {}, (KEY,)),
        ({"x-goog-api-key": KEY}, {}, (KEY,)),
        ({}, {"key": KEY}, (KEY,)),
        ({"Authorization": "Bearer "}, {}, ()),
        ({}, {}, ()),
        ({"Authorization": "Basic not-base64!"}, {}, ("not-base64!",)),
    ],
)
def test_where_a_request_carries_its_keys(headers, arguments, found):
    assert read_request_secrets(headers, arguments) == found


def test_the_password_of_basic_is_a_key_and_so_is_its_encoded_form():
    encoded = base64.b64encode(f"user:{KEY}".encode()).decode()
    assert read_request_secrets({"Authorization": f"Basic {encoded}"}, {}) == (encoded, KEY)


def test_configured_keys_are_asked_for_each_time():
    keys = ["first-configured-key"]
    book = SecretBook(lambda: tuple(keys))
    assert book.masker().mask_text("first-configured-key") == "firs…-key"
    keys.append("later-configured-key")
    assert book.masker().mask_text("later-configured-key") == "late…-key"


def test_the_same_keys_give_the_same_masker():
    book = SecretBook(lambda: (KEY,))
    assert book.masker(["extra-key-0123"]) is book.masker(["extra-key-0123"])


def test_keys_of_recent_requests_are_known_outside_of_them():
    book = SecretBook()
    book.remember([KEY])
    assert book.masker().mask_text(KEY) == KEY
    assert book.masker_for_all().mask_text(KEY) == "cana…6789"


def test_only_so_many_keys_are_remembered():
    book = SecretBook()
    book.remember([KEY])
    book.remember(f"another-client-key-{number}" for number in range(REMEMBERED))
    assert book.masker_for_all().mask_text(KEY) == KEY
