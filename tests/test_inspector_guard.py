"""Who sees stored requests: the token as a cookie or a Bearer, keys where there are some, no other machine without them."""

from http.cookies import SimpleCookie

import pytest

from app.access import Forbidden
from app.errors import AuthenticationFailed
from app.inspector_guard import HEADERS, TOKEN, check_machine, check_token, cookie_name, is_good, page_url

TRACES = "/inspector/api/traces"
MOCK = {"m": {"options": {"engine": "mock"}, "models": {"mock": {}}}}
KEY = "sk-gateway-0123456789"


@pytest.fixture
def gateway(serve):
    return serve(MOCK)


@pytest.fixture
def keyed(serve):
    return serve(MOCK, GATEWAY_API_KEYS=KEY)


def status(gateway, headers, path=TRACES):
    return gateway.get(path, headers).status


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def cookie_of(reply):
    (cookie,) = SimpleCookie(reply.headers["set-cookie"]).values()
    return cookie


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("wrong"), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), bearer("gr\xfcn"), {"Authorization": TOKEN},
     {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "gateway_inspector_1=" + TOKEN}, bearer(KEY)],
)  # fmt: skip
def test_without_the_token_nothing_is_shown(gateway, headers):
    reply = gateway.get(TRACES, headers)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "Bearer TOKEN" in reply.error["message"]
    assert TOKEN.encode() not in reply.raw


@pytest.mark.parametrize("path", ["/live", "/series", "/sessions", "/filters", "/traces/x", "/traces/x/capture"])
def test_every_route_of_the_api_wants_the_token(gateway, path):
    assert status(gateway, {}, f"/inspector/api{path}") == 401


def test_the_token_is_good_as_a_bearer_but_not_in_the_address_of_the_api(gateway):
    assert status(gateway, bearer(TOKEN)) == 200
    assert status(gateway, {}, f"{TRACES}?token={TOKEN}") == 401


def test_the_page_turns_the_token_into_a_strict_cookie_and_forgets_the_address(gateway):
    reply = gateway.get(f"/inspector?token={TOKEN}")
    assert (reply.status, reply.headers["location"]) == (303, "/inspector")
    cookie = cookie_of(reply)
    assert cookie.key == cookie_name(str(gateway.port))
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/inspector")
    assert not cookie["domain"]
    assert status(gateway, {"Cookie": f"{cookie.key}={cookie.value}"}) == 200
    assert status(gateway, {"Cookie": f"{cookie.key}={cookie.value}x"}) == 401


@pytest.mark.parametrize(
    "token", ["", "wrong", "%ff%fe", "%ED%A0%80", TOKEN.swapcase()], ids=["none", "wrong", "bytes", "surrogate", "case"]
)
def test_a_wrong_token_sets_no_cookie(gateway, token):
    reply = gateway.get(f"/inspector?token={token}")
    assert (reply.status, reply.headers["location"]) == (303, "/inspector?refused=1")
    assert "set-cookie" not in reply.headers


def test_the_printed_address_opens_the_page(gateway):
    address = page_url(gateway.url)
    assert address.startswith(gateway.url)
    assert cookie_of(gateway.get(address.removeprefix(gateway.url))).value == TOKEN


def test_the_page_itself_holds_nothing_and_is_open_to_this_machine(gateway):
    reply = gateway.get("/inspector")
    assert reply.status == 200
    assert TOKEN.encode() not in reply.raw
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", ["/inspector", "/inspector/static/main.js", TRACES])
@pytest.mark.parametrize(
    "remote", [{"X-Forwarded-For": "192.0.2.7"}, {"Forwarded": "for=192.0.2.7"}, {"Host": "evil.example"}]
)
def test_other_machines_are_refused_though_they_have_the_token(gateway, path, remote):
    reply = gateway.get(path, bearer(TOKEN) | remote)
    assert (reply.status, reply.error["code"]) == (403, "forbidden")


def test_with_keys_other_machines_are_let_in_with_a_key_or_the_token(keyed):
    remote = {"X-Forwarded-For": "192.0.2.7"}
    assert [status(keyed, remote | bearer(given)) for given in (KEY, TOKEN, "wrong")] == [200, 200, 401]
    assert status(keyed, remote) == 401
    assert status(keyed, {"x-api-key": KEY}) == 200


def test_a_key_in_the_address_gives_the_cookie_of_the_token(keyed):
    cookie = cookie_of(keyed.get(f"/inspector?token={KEY}"))
    assert cookie.value == TOKEN  # the key itself is kept in no browser
    assert status(keyed, {"Cookie": f"{cookie.key}={cookie.value}"}) == 200


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [("/inspector", {}, 200), ("/inspector/static/main.js", {}, 200), ("/inspector/static/none.js", {}, 404),
     (TRACES, {}, 401), (TRACES, bearer(TOKEN), 200), (TRACES, {"Host": "evil.example"}, 403),
     (f"/inspector?token={TOKEN}", {}, 303)],
    ids=["page", "script", "no file", "no token", "list", "host", "token"],
)  # fmt: skip
def test_every_answer_forbids_what_the_page_does_not_need(gateway, path, headers, expected):
    reply = gateway.get(path, headers)
    assert reply.status == expected
    assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert reply.headers["cache-control"] == ("no-cache" if expected == 200 and path != TRACES else "no-store")


def test_the_policy_lets_nothing_in_but_the_gateways_own():
    rules = dict(rule.strip().split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "'self' data:"
    assert set(rules.values()) == {"'self'", "'none'"}
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert HEADERS["X-Frame-Options"] == "DENY"
    assert HEADERS["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", None])
def test_this_machine_may_look_without_keys(peer):
    check_machine(peer, {"Host": "localhost:8000"}, ())


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "fe80::1%eth0", "nonsense"])
def test_another_machine_may_look_with_keys_only(peer):
    with pytest.raises(Forbidden):
        check_machine(peer, {"Host": "localhost:8000"}, ())
    check_machine(peer, {"Host": "localhost:8000"}, (KEY,))


def test_one_good_text_of_those_given_is_enough():
    check_token((None, TOKEN), ())
    check_token(("wrong", KEY), (KEY,))
    for given in ((), (None, None), ("", "wrong"), (KEY,)):
        with pytest.raises(AuthenticationFailed):
            check_token(given, ())
    assert not is_good("", ()) and not is_good("gr\xfcn", (KEY,))
