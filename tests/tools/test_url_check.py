"""URLs that strangers write, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tools.tool import ToolError
from app.tools.url_check import Url, read_url


@pytest.mark.parametrize(("text", "url", "authority"), [
    ("http://example.com", Url("http", "example.com", 80, "/"), "example.com"),
    ("HTTPS://Example.COM:443/A?b=1#c", Url("https", "example.com", 443, "/A?b=1"), "example.com"),
    ("https://example.com:8443?q", Url("https", "example.com", 8443, "/?q"), "example.com:8443"),
    ("http://example.com:443/", Url("http", "example.com", 443, "/"), "example.com:443"),
    ("http://[2606:4700::1111]:8080/", Url("http", "2606:4700::1111", 8080, "/"), "[2606:4700::1111]:8080"),
    ("http://bücher.example/ä?ö=%41", Url("http", "xn--bcher-kva.example", 80, "/%C3%A4?%C3%B6=%41"),
     "xn--bcher-kva.example"),
    ("http://127。0。0。1/", Url("http", "127.0.0.1", 80, "/"), "127.0.0.1"),
    ("http://2130706433/", Url("http", "2130706433", 80, "/"), "2130706433"),
])
def test_a_url_is_read(text, url, authority):
    assert read_url(text) == url
    assert url.authority == authority
    assert read_url(str(url)) == url


@pytest.mark.parametrize(("text", "why"), [
    ("", "Only http"), ("example.com", "Only http"), ("file:///etc/passwd", "Only http"), ("ftp://example.com", "Only http"),
    ("gopher://example.com:70/", "Only http"), ("javascript:alert(1)", "Only http"), ("//example.com", "Only http"),
    ("http://", "no host"), ("http:///path", "no host"), ("http://%65xample.com/", "no host"),
    ("http://me@example.com/", "user name"), ("http://me:pw@example.com/", "user name"), ("http://@example.com/", "user name"),
    ("http://example.com:22/", "Port 22"), ("http://example.com:25/", "Port 25"), ("http://example.com:0/", "Port 0"),
    ("http://example.com:99999/", "not well formed"), ("http://example.com:x/", "not well formed"),
    ("http://[::1/", "not well formed"), ("http://[fe80::1%25eth0]/", "no host|not well formed"),
    ("http://exa mple.com/", "blanks"),
    ("http://example.com/\r\nHost: evil", "blanks"), ("http://example.com\\@evil/", "blanks"),
    ("\thttp://example.com/", "blanks"), ("http://" + "a" * 9000, "longer"), ("http://" + "ü" * 300, "not well formed"),
    ("http://exa\u2100mple.com/", "not well formed|no host"),
])
def test_a_url_is_refused(text, why):
    with pytest.raises(ToolError, match=why):
        read_url(text)


@given(st.text() | st.text("htps:/@[]%.?#0123456789abc\u3002\uff0f ").map("http://".__add__))
def test_what_is_sent_is_one_line_of_ascii(text):
    try:
        url = read_url(text)
    except ToolError:
        return
    sent = f"{url.target} {url.authority}"
    assert sent.isascii() and sent.isprintable() and sent.count(" ") == 1
    assert url.target.startswith("/")
    assert read_url(str(url)) == url
