"""Whatever a model, an upstream or a client says, the page shows it and does nothing: no script, no dialog, no other host."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.client import LiveGateway
from tests.inspector.conftest import GEMINI, SCHEMA, ask, ask_mock, stored
from tests.inspector.driving import Inspector
from tests.upstream import FakeUpstream, sse_answer

Look = Callable[..., Inspector]
MARKUP = (
    "<script>window.hacked = 1; alert(1)</script><img src=https://evil.example/x.png onerror=alert(2)>"
    "<iframe src=https://evil.example></iframe><svg onload=alert(3)><style>*{display:none}</style>"
    "<a href='javascript:alert(4)'>x</a>{{constructor.constructor('alert(5)')()}}"
)
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b[31mred\x00\u202eexe.txt\u2066\u200b\U000e0041\x9b"
HOSTILE = MARKUP + ESCAPES
TABS = ("summary", "conversation", "diff", "timeline", "tools", "parts")
HARM = """() => ({
  hacked: window.hacked ?? null,
  foreign: document.querySelectorAll("main script, main img, main iframe, main style, main a[href^=javascript]").length,
})"""
OPEN_ALL = """async () => {
  for (let round = 0; round < 4; round++) {
    for (const details of document.querySelectorAll(".panel details:not([open])")) details.open = true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""
HARMLESS = {"hacked": None, "foreign": 0}


def hostile_stream(upstream: FakeUpstream) -> None:
    """Have the upstream put markup and escapes wherever a model can put text."""
    chunk = {"id": MARKUP, "object": "chat.completion.chunk", "created": 1, "model": HOSTILE}
    call = {
        "index": 0,
        "id": MARKUP,
        "type": "function",
        "function": {"name": "write", "arguments": json.dumps({MARKUP: HOSTILE})},
    }
    deltas = [
        {"role": "assistant", "content": HOSTILE},
        {"reasoning_content": HOSTILE},
        {"tool_calls": [call]},
        {MARKUP: HOSTILE},
    ]
    chunks = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {
        **chunk,
        "choices": [{"index": 0, "delta": {}, "finish_reason": MARKUP}],
        "usage": {"prompt_tokens": 1, MARKUP: MARKUP},
    }
    upstream.reply(sse_answer([*chunks, end, HOSTILE.replace("\n", " ")]))


def visit(inspector: Inspector, request: str, tabs: tuple[str, ...] = TABS) -> None:
    """Look at a request from every side, opening whatever opens."""
    for tab in tabs:
        inspector.open(request, tab)
        inspector.page.evaluate(OPEN_ALL)
        assert inspector.page.evaluate(HARM) == HARMLESS, tab


def test_a_hostile_answer_harms_nothing(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    hostile_stream(upstream)
    tool = {
        "type": "function",
        "function": {"name": "write", "description": HOSTILE, "parameters": {**SCHEMA, MARKUP: HOSTILE}},
    }
    messages = [
        {"role": "user", "content": HOSTILE},
        {"role": "assistant", "content": HOSTILE},
        {"role": "user", "content": HOSTILE},
    ]
    body = {"model": GEMINI, "stream": True, "tools": [tool], "messages": messages, "user": MARKUP}
    # no control character can stand in a header; markup can
    headers = {"X-Session-Id": MARKUP[:150], "User-Agent": MARKUP[:150], "X-Other": MARKUP}
    request = stored(gateway, gateway.post("/v1/chat/completions", body, headers))
    page = (inspector := look()).page
    expect(inspector.rows.first).to_contain_text("<script>window.hacked")
    visit(inspector, request)
    inspector.open(request, "conversation")
    expect(page.locator(".role-user").first).to_contain_text("<img src=https://evil.example/x.png onerror=alert(2)>")
    expect(page.locator(".role-user").first).to_contain_text("⟦ESC⟧[2J⟦ESC⟧]0;owned⟦BEL⟧")
    expect(page.locator(".role-user .hidden-char", has_text="⟦202E⟧").first).to_have_attribute(
        "title", "U+202E right-to-left override"
    )
    expect(page.locator(".role-user").first).to_contain_text("⟦E0041⟧")
    inspector.open(request, "timeline")
    for _ in range(6):
        page.keyboard.press("n")
    for row in page.locator(".trow.chunk").all():
        row.click()
    page.get_by_role("button", name="Exact text").click()
    for view in ("sessions", "plots", "playground", "requests"):
        inspector.go(view)
        page.wait_for_function("() => !/^Loading/.test(document.querySelector('main').textContent)")
        assert page.evaluate(HARM) == HARMLESS, view
    inspector.go("sessions")
    page.get_by_role("link", name="<script>").first.click()
    expect(page.locator(".turn")).to_contain_text("<iframe")
    assert page.evaluate(HARM) == HARMLESS


def test_a_hostile_error_and_a_hostile_address_harm_nothing(
    look: Look, gateway: LiveGateway, upstream: FakeUpstream
) -> None:
    upstream.refuse(400, {"error": {"message": HOSTILE, "code": MARKUP, "type": MARKUP, "param": MARKUP}})
    request, inspector = ask(gateway), look()
    visit(inspector, request, ("error", "summary", "parts"))
    inspector.go("request/" + MARKUP.replace("/", "%2F") + "/" + MARKUP.replace("/", "%2F") + "?q=" + MARKUP)
    expect(inspector.page.locator(".panel")).to_contain_text("<script>window.hacked")
    assert inspector.page.evaluate(HARM) == HARMLESS
    inspector.problems = [problem for problem in inspector.problems if "404" not in problem]


def test_the_playground_shows_a_hostile_answer(look: Look, upstream: FakeUpstream) -> None:
    hostile_stream(upstream)
    page = (inspector := look()).page
    inspector.go("playground")
    page.locator(f"#play-model option[value='{GEMINI}']").wait_for(state="attached")
    page.get_by_label("Model").select_option(GEMINI)
    page.get_by_label("Prompt", exact=True).fill("Hello")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".role-assistant")).to_contain_text("<script>window.hacked")
    expect(page.locator(".role-assistant")).to_contain_text("⟦ESC⟧[2J")
    assert page.evaluate(HARM) == HARMLESS


def test_five_megabytes_are_cut_and_come_piece_by_piece(look: Look, gateway: LiveGateway) -> None:
    text = "<b>0123456789\x1b" * 350_000
    request, page = ask_mock(gateway, text), (inspector := look()).page
    inspector.open(request, "conversation")
    body = page.locator(".role-user .text")
    expect(page.locator(".role-user .more")).to_contain_text("of 4,900,000 characters")
    assert len(body.inner_text()) < 20_000
    page.locator(".role-user").get_by_role("button", name="64 KB more").click()
    assert 60_000 < body.evaluate("text => text.textContent.length") < 500_000
    page.locator(".role-user").get_by_role("button", name="Show all").click()
    expect(page.locator(".role-user .more")).to_have_count(0, timeout=60_000)
    assert page.evaluate("document.querySelectorAll('.role-user .text *').length") < 50_000
    assert page.evaluate(HARM) == HARMLESS


def test_deep_json_is_shown_level_by_level(look: Look, gateway: LiveGateway) -> None:
    deep: object = "bottom"
    for _ in range(200):
        deep = {"a": [deep]}
    request, page = ask_mock(gateway, "deep", metadata={"x": "y"}, deep=deep), (inspector := look()).page
    inspector.open(request, "parts")
    page.locator(".parts summary", has_text="client_request").click()
    for _ in range(5):
        page.locator(".parts details:not([open]) > summary", has_text="a: ").last.click()
    inspector.open(request, "diff")
    assert page.locator(".panel *").count() < 5_000


@pytest.mark.parametrize("name", ["toString", "constructor", "hasOwnProperty"])
def test_keys_of_every_object_mean_nothing(name: str, look: Look, gateway: LiveGateway) -> None:
    tool = {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {name: {}, "__proto__": {}}}},
    }
    messages = [{"role": "user", "content": "hi"}, {"role": name, "content": "hi"}]
    request = stored(
        gateway, gateway.post("/v1/chat/completions", {"model": name, "messages": messages, "tools": [tool]})
    )
    visit(look(), request, ("summary", "conversation", "tools", "parts"))
