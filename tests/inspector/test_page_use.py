"""Using the page: keyboard, languages, themes, narrow windows, ten thousand requests, the lock, names for those who listen."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from app.database import statement
from tests.client import LiveGateway
from tests.gateway import Gateway
from tests.inspector.conftest import ask, ask_mock
from tests.inspector.driving import LIMIT, Inspector

Look = Callable[..., Inspector]
MANY = 10_000
COLUMNS = ("id", "started", "updated", "method", "path", "model", "status", "asked", "stream", "duration", "size")
PUT = f"INSERT INTO traces ({', '.join(COLUMNS)}) VALUES ({', '.join(':' + name for name in COLUMNS)})"
# What may be pressed or filled in, and has no name that a screen reader could say.
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea, summary, [role=tab], [role=grid]")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !element.textContent.trim() && !element.getAttribute("aria-label") && !element.labels?.length)
  .map((element) => element.outerHTML.slice(0, 100))"""


def test_who_types_and_goes_on_is_not_brought_back(look: Look, gateway: LiveGateway) -> None:
    ask(gateway)
    page = look().page
    page.clock.install()
    page.get_by_role("searchbox").fill("abc")
    page.evaluate("location.hash = '#/playground'")
    expect(page.locator("nav [aria-current]")).to_have_text("Playground")
    page.clock.run_for(1000)  # the search waits a moment for more letters
    expect(page.locator("nav [aria-current]")).to_have_text("Playground")


def test_the_keyboard_does_it_all(look: Look, gateway: LiveGateway) -> None:
    older, newer = ask_mock(gateway, "first", stream=True), ask(gateway)
    page = (inspector := look()).page
    expect(inspector.rows).to_have_count(2)
    press, chosen = page.keyboard.press, page.locator(".rrow.chosen")
    press("j")
    expect(chosen).to_have_attribute("data-id", newer)
    press("j")
    expect(chosen).to_have_attribute("data-id", older)
    press("k")
    press("Enter")
    expect(page).to_have_url(re.compile(f"#/request/{newer}/summary"))
    press("4")
    expect(page.locator("#tab-timeline")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".trow").first).to_be_visible()
    press("n")
    expect(page.locator(".dock")).to_contain_text("gemini.schema")
    press("j")  # the next request, on the same tab
    expect(page).to_have_url(re.compile(f"#/request/{older}/timeline"))
    press("Escape")
    expect(page.locator(".detail")).to_be_hidden()
    press("/")
    page.keyboard.type("jjj ?")  # is text there, no command
    expect(page.get_by_role("searchbox")).to_have_value("jjj ?")
    press("Escape")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next request")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for key, title in (("p", "Plots"), ("s", "Sessions"), ("t", "Playground"), ("r", "Requests")):
        press("g")
        press(key)
        expect(page.locator("nav [aria-current]")).to_have_text(title)


def test_keys_work_while_korean_is_typed(look: Look, gateway: LiveGateway) -> None:
    newest = ask_mock(gateway, "first", stream=True)
    page = (inspector := look()).page
    expect(inspector.rows).to_have_count(1)
    page.evaluate("dispatchEvent(new KeyboardEvent('keydown', {key: 'ㅓ', code: 'KeyJ', bubbles: true}))")
    expect(page.locator(".rrow.chosen")).to_have_attribute("data-id", newest)


def test_korean_by_the_browser_and_by_the_switch(look: Look, gateway: LiveGateway) -> None:
    ask(gateway)
    page = (korean := look(locale="ko-KR")).page
    expect(page.locator("nav a").first).to_have_text("요청")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    korean.rows.first.click()
    expect(page.locator(".tabs")).to_contain_text("타임라인")
    english = look().page
    expect(english.locator("nav a").first).to_have_text("Requests")
    english.locator("#language").click()
    expect(english.locator("nav a").first).to_have_text("요청")
    english.reload()
    expect(english.locator("nav a").first).to_have_text("요청")


def test_dark_by_the_system_and_by_the_switch(look: Look) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, light = look(color_scheme="dark").page, look().page
    assert dark.evaluate(ground) == "rgb(18, 21, 24)"
    assert light.evaluate(ground) == "rgb(244, 245, 246)"
    light.locator("#theme").click()
    assert light.evaluate(ground) == "rgb(18, 21, 24)"
    light.reload()
    assert light.evaluate(ground) == "rgb(18, 21, 24)"
    light.keyboard.press("d")
    assert light.evaluate(ground) == "rgb(244, 245, 246)"


def test_a_narrow_window_loses_nothing(look: Look, gateway: LiveGateway) -> None:
    request = ask(gateway)
    page = (inspector := look(viewport={"width": 390, "height": 720})).page
    expect(inspector.rows.first.locator(".badge")).to_be_visible()
    for view in (
        "requests",
        f"request/{request}/timeline",
        f"request/{request}/diff",
        "sessions",
        "session/ses_1",
        "plots",
        "playground",
    ):
        inspector.go(view)
        page.wait_for_function("() => !/^Loading/.test(document.querySelector('main').textContent)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    inspector.open(request, "timeline")
    expect(inspector.page.locator(".list")).to_be_hidden()
    page.get_by_role("button", name="Back").click()
    expect(inspector.rows.first).to_be_visible()


@pytest.fixture
def many(gateway: LiveGateway) -> LiveGateway:
    """A gateway that has answered ten thousand requests."""
    now, path = time.time(), "/v1/chat/completions"

    def row(n: int) -> tuple:
        at = now - 10 - n
        return (f"req_{n:024d}", at, at, "POST", path, f"model-{n % 7}", 200, f"question {n}", 1, 1.5, 0)

    rows = [dict(zip(COLUMNS, row(n), strict=True)) for n in range(MANY)]
    store = gateway.app.extensions["store"]
    store.submit(lambda connection: connection.execute(statement(PUT), rows))
    assert store.flush(30) and not store.problem
    return gateway


def test_ten_thousand_requests_scroll(look: Look, many: LiveGateway) -> None:
    page = (inspector := look()).page
    expect(inspector.rows.first).to_contain_text("question 0")
    foot, rows = page.locator(".list-foot"), page.locator(".rows")
    deadline = time.monotonic() + LIMIT / 1000 * 3
    while "follow" in foot.inner_text() and time.monotonic() < deadline:
        before = foot.inner_text()
        rows.evaluate("rows => rows.scrollTo(0, rows.scrollHeight)")
        expect(foot).not_to_have_text(before)
    expect(foot).to_contain_text(f"{MANY:,} requests")
    rows.evaluate("rows => rows.scrollTo(0, rows.scrollHeight)")
    expect(page.get_by_text(f"question {MANY - 1}", exact=True)).to_be_visible()
    assert inspector.rows.count() < 80, "only what can be seen is drawn"
    rows.evaluate("rows => rows.scrollTo(0, 140_000)")
    shown = page.get_by_text("question 5000", exact=True)
    expect(shown).to_be_visible()
    where = shown.bounding_box()
    ask_mock(many, "while you read", stream=True)
    page.get_by_role("button", name="1 new request").wait_for()
    assert shown.bounding_box() == where, "what is being read stays where it is"
    page.get_by_role("button", name="1 new request").click()
    expect(inspector.rows.first).to_contain_text("while you read")
    page.get_by_label("Model").select_option("model-3")
    expect(inspector.rows.first).to_contain_text("question 3")


def test_everything_has_a_name(look: Look, gateway: LiveGateway) -> None:
    request = ask(gateway)
    page = (inspector := look()).page
    views = ["requests", "sessions", "session/ses_1", "plots", "playground"]
    for view in views + [
        f"request/{request}/{tab}" for tab in ("summary", "conversation", "diff", "timeline", "tools", "parts")
    ]:
        inspector.go(view)
        page.wait_for_function("() => !/^Loading/.test(document.querySelector('main').textContent)")
        assert page.evaluate(NAMELESS) == [], view
    expect(page.get_by_role("tablist")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_a_locked_page_takes_the_token(browser, gateway: LiveGateway) -> None:
    inspector = Inspector(browser, gateway.url, token=None)
    page = inspector.page
    expect(page.get_by_role("heading")).to_have_text("This inspector is locked")
    from app.inspector_guard import TOKEN

    page.get_by_label("Token").fill("yesterday's")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("That is not this gateway's token.")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".live")).to_have_text("live")
    assert TOKEN not in page.url
    assert [problem for problem in inspector.problems if "401" not in problem] == []
    inspector.context.close()


def test_the_page_finds_back_when_the_gateway_was_away(look: Look, gateway: LiveGateway) -> None:
    page = (inspector := look()).page
    expect(page.locator(".live")).to_have_text("live")
    page.context.set_offline(True)
    ask_mock(gateway, "while you were away", stream=True)
    page.context.set_offline(False)
    expect(inspector.rows.first).to_contain_text("while you were away")
    inspector.problems = [problem for problem in inspector.problems if "ERR_INTERNET_DISCONNECTED" not in problem]


def test_a_gateway_that_was_started_anew_locks_the_page(look: Look, gateway: LiveGateway) -> None:
    page, feeds = (inspector := look()).page, []

    def answer(route: Route) -> None:
        if route.request.url.endswith("/live"):
            feeds.append(route)
            if len(feeds) == 1:  # a feed that ends: the gateway is stopped
                route.fulfill(content_type="text/event-stream", body="retry: 10\n\nevent: ping\ndata: {}\n\n")
                return
        if len(feeds) > 1:
            route.fulfill(status=401, json={"error": {"message": "another token is wanted"}})
        else:
            route.continue_()

    page.route("**/inspector/api/**", answer)
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("This inspector is locked")
    expect(page.locator(".live")).to_be_hidden()
    assert len(feeds) == 2
    inspector.problems = [found for found in inspector.problems if "401" not in found]


@pytest.mark.e2e
def test_the_address_that_a_started_gateway_prints_opens_the_page(browser, tmp_path) -> None:
    with Gateway(tmp_path, GATEWAY_WORKERS="2") as gateway:
        found = re.search(r"/inspector\?token=(\S+)", gateway.output())
        assert found, gateway.output()
        with Inspector(browser, gateway.url, token=found[1]) as inspector:
            page = inspector.page
            expect(page.locator(".live")).to_have_text("live")
            inspector.go("playground")
            page.get_by_label("Model").select_option("mock")
            page.get_by_label("Prompt", exact=True).fill("Hello, workers!")
            page.get_by_role("button", name="Send", exact=True).click()
            page.get_by_role("link", name="See this request").click()
            expect(page.locator(".trow").first).to_be_visible()
            inspector.go("requests")
            expect(inspector.rows.first).to_contain_text("Hello, workers!")
