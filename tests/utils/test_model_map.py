import pytest

from app.config import Settings
from app.utils.model_map import is_own_address, is_placeholder_key, routes_of


@pytest.mark.parametrize(
    ("url", "host", "own"),
    (
        ("http://localhost:8000", "127.0.0.1", True),
        ("http://LOCALHOST:8000/v1", "127.0.0.1", True),
        ("http://127.0.0.1:8000/v1", "0.0.0.0", True),
        ("http://127.8.8.8:8000/v1", "127.0.0.1", True),
        ("http://[::1]:8000/v1", "127.0.0.1", True),
        ("http://0.0.0.0:8000/v1", "127.0.0.1", True),
        ("http://Gateway.corp:8000/v1", "gateway.corp", True),
        ("http://other.corp:8000/v1", "gateway.corp", False),
        ("http://localhost:8001/v1", "127.0.0.1", False),
        ("http://localhost/v1", "127.0.0.1", False),
        ("http://localhost:99999999/v1", "127.0.0.1", False),
        ("http://[broken:8000", "127.0.0.1", False),
        ("mock:", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        (None, "127.0.0.1", False),
    ),
)
def test_the_gateways_own_address(url, host, own):
    assert is_own_address(url, host, 8000) is own


def test_the_default_port_counts():
    assert is_own_address("http://localhost/v1", "127.0.0.1", 80)


@pytest.mark.parametrize(
    "key",
    (
        "", " ", "your-api-key-here", "YOUR_API_KEY", "your_gemini_key", "<key>", "<YOUR KEY>", "sk-xxx", "sk-xxxxxxxx",
        "sk-...", "AIza...", "AIzaSyXXXXXXXXXXXX", "xxx", "${GEMINI_API_KEY}", "$GEMINI_API_KEY", "changeme",
        "CHANGE_ME", "TODO",
        "insert-key-here", "my-api-key", "api-key-****",
    ),
)  # fmt: skip
def test_placeholders_are_no_keys(key):
    assert is_placeholder_key(key)


@pytest.mark.parametrize(
    "key",
    (
        "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
        "sk-proj-abc123",
        "gsk_abcdef123456",
        "my-team-key-81",
        "not-needed",
        "xai-9",
    ),
)
def test_other_keys_are_sent(key):
    assert not is_placeholder_key(key)


@pytest.mark.parametrize(
    "key",
    ("not-needed", "Dummy", "none", "YOUR_API_KEY", "dummy-key", "sk-dummy-key-not-used", "sk-not-needed", "key-not-used"),
)
def test_a_client_that_needs_no_key_sends_a_word(key):
    assert is_placeholder_key(key, from_client=True)


@pytest.mark.parametrize("key", ("sk-proj-dummy123", "gsk_dummy", "team-not-usedcars", "dummyAIzaSyD9tSrke72PouQ"))
def test_a_key_that_only_looks_a_little_like_such_a_word_is_one(key):
    assert not is_placeholder_key(key, from_client=True)


def test_routes_say_why_a_model_is_hidden():
    data = {
        "enabled_providers": ["a", "b"],
        "disabled_providers": ["b"],
        "provider": {
            "a": {"whitelist": ["m1", "m2"], "blacklist": ["m2"], "models": {"m1": {}, "m2": {}, "m3": {}}},
            "b": {"models": {"m4": {}}},
            "c": {"models": {"m5": {}}},
        },
    }
    hidden = {route.key: route.hidden for route in routes_of(Settings.load({}, dotenv=False, opencode=data))}
    assert hidden["m1"] == ""
    assert "blacklist" in hidden["m2"]
    assert "whitelist" in hidden["m3"]
    assert "disabled_providers" in hidden["m4"]
    assert "enabled_providers" in hidden["m5"]
