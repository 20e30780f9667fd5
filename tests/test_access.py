"""Which machine a client is on, and which web page it is."""

import pytest

from app.access import Forbidden, check_local, check_origin, check_unasked, is_local


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "", None])
def test_this_machine(peer):
    assert is_local(peer, {})
    check_local(peer, {}, "do it", "Or so.")


@pytest.mark.parametrize("peer", [
    "10.0.0.1", "192.168.1.2", "8.8.8.8", "::ffff:10.0.0.1", "fe80::1%eth0", "0.0.0.0", "localhost", "127.0.0.1.example.com"])
def test_other_machines(peer):
    assert not is_local(peer, {})
    with pytest.raises(Forbidden, match=r"own machine may do it\. Or so\.") as caught:
        check_local(peer, {}, "do it", "Or so.")
    assert caught.value.status == 403


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_on_this_machine_speaks_for_others(name):
    """Headers only speak against a client: one that says 127.0.0.1 may be a lie."""
    assert not is_local("127.0.0.1", {name: "127.0.0.1"})
    assert not is_local("10.0.0.1", {name: "127.0.0.1"})


@pytest.mark.parametrize(("host", "local"), [
    ("127.0.0.1:8000", True), ("localhost", True), ("[::1]:8000", True), ("LOCALHOST:1", True), ("", True),
    ("gateway.example.com", False), ("evil.example.com:8000", False), ("192.168.1.5:8000", False), ("[broken", False),
    ("127.0.0.1.example.com", False)])
def test_who_asks_for_a_public_name_came_through_a_proxy(host, local):
    assert is_local("127.0.0.1", {"Host": host}) is local


@pytest.mark.parametrize(("origin", "host", "has_keys"), [
    (None, "127.0.0.1:8000", False),  # no browser
    ("http://localhost:3000", "127.0.0.1:8000", False),
    ("http://127.0.0.1:8000", "127.0.0.1:8000", False),
    ("http://[::1]:8000", "localhost:8000", False),
    ("http://app.localhost", "127.0.0.1:8000", False),
    ("http://192.168.1.5:8000", "192.168.1.5:8000", False),
    ("https://chat.example.com", "chat.example.com", True),
    ("https://Chat.example.com", "chat.example.com", True),
])
def test_pages_that_may(origin, host, has_keys):
    check_origin({"Host": host} | ({"Origin": origin} if origin else {}), has_keys)


@pytest.mark.parametrize(("origin", "host", "has_keys"), [
    ("https://evil.example.com", "127.0.0.1:8000", False),
    ("https://evil.example.com", "127.0.0.1:8000", True),
    ("https://evil.example.com", "chat.example.com", True),
    ("http://chat.example.com:81", "chat.example.com", True),
    ("http://evil.example.com:8000", "evil.example.com:8000", False),  # a name that was made to lead here
    ("http://127.0.0.1.example.com", "127.0.0.1:8000", False),
    ("http://localhost.example.com", "127.0.0.1:8000", False),
    ("http://10.0.0.9", "127.0.0.1:8000", False),
    ("null", "127.0.0.1:8000", False),
    ("null", "null", True),
    ("http://[broken", "127.0.0.1:8000", True),
    ("file://", "", True),
    ("chrome-extension://abcdef", "127.0.0.1:8000", True),
])
def test_pages_that_may_not(origin, host, has_keys):
    with pytest.raises(Forbidden):
        check_origin({"Host": host, "Origin": origin}, has_keys)


HERE, EVIL, PLAIN, JSON = "127.0.0.1:8000", "https://evil.example.com", "text/plain;charset=UTF-8", "application/json"


@pytest.mark.parametrize("headers", [
    {"Content-Type": PLAIN},  # no browser
    {"Origin": "http://localhost:3000", "Content-Type": PLAIN},
    {"Origin": "http://127.0.0.1:8000", "Content-Type": PLAIN},
    {"Origin": EVIL, "Content-Type": JSON},  # the browser asked first, and somebody else said yes
    {"Origin": EVIL, "Content-Type": PLAIN, "Authorization": "Bearer x"},
    {"Origin": "null", "Content-Type": JSON},
    {"Origin": "chrome-extension://abc", "Content-Type": PLAIN},
    {"Origin": "vscode-webview://abc"},
    {"Origin": "app://obsidian.md", "Content-Type": JSON},
    {"Origin": "file://", "Content-Type": JSON},
])
def test_what_is_no_strange_page_may_ask_models(headers):
    check_unasked({"Host": HERE} | headers)


@pytest.mark.parametrize("headers", [
    {"Origin": EVIL},
    {"Origin": EVIL, "Content-Type": PLAIN},
    {"Origin": EVIL, "Content-Type": "TEXT/PLAIN"},
    {"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"},
    {"Origin": EVIL, "Content-Type": "multipart/form-data; boundary=x"},
    {"Origin": "null", "Content-Type": PLAIN},
    {"Origin": "NULL"},
    {"Origin": "http://10.0.0.9", "Content-Type": PLAIN},
    {"Origin": "http://evil.example.com:8000", "Host": "evil.example.com:8000", "Content-Type": JSON},
])
def test_a_strange_page_may_not_send_what_it_cannot_read(headers):
    with pytest.raises(Forbidden):
        check_unasked({"Host": HERE} | headers)
