"""The playground answers: streamed and whole, with tools and their results, behind a key, stopped half-way."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.client import LiveGateway
from tests.inspector.conftest import GEMINI, ask
from tests.inspector.driving import Inspector
from tests.upstream import FakeUpstream

Look = Callable[..., Inspector]
KEY = "sk-gateway-0123456789abcdef"
SCRIPT = {
    "turns": [
        {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Seoul"}}]},
        {"text": "It is {{last_tool}}."},
    ]
}


def send(page: Page, prompt: str, model: str = "mock") -> None:
    page.locator(f"#play-model option[value='{model}']").wait_for(state="attached")
    page.get_by_label("Model").select_option(model)
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Send", exact=True).click()


def test_a_prompt_is_answered(look: Look, gateway: LiveGateway) -> None:
    page = (inspector := look()).page
    inspector.go("playground")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Max tokens").fill("99")
    send(page, "What is a gateway?")
    expect(page.locator(".conversation .role")).to_have_text(["user", "assistant"])
    expect(page.locator(".role-assistant")).to_contain_text("finish_reason stop")
    page.get_by_role("link", name="See this request").click()
    inspector.tab("Parts")
    page.locator(".parts summary", has_text="client_request").click()
    expect(page.locator(".parts")).to_contain_text("temperature: 0.5")
    expect(page.locator(".parts")).to_contain_text("max_tokens: 99")


def test_a_stream_is_shown_as_it_comes(look: Look, upstream: FakeUpstream) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in ("One ", "two")
    ]
    end = {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    gate = upstream.reply_sse([*said, end]).gate_after(1)
    page = (inspector := look()).page
    inspector.go("playground")
    send(page, "Count.", GEMINI)
    expect(page.locator(".live-answer")).to_have_text("One ")
    gate.open()
    expect(page.locator(".role-assistant")).to_contain_text("One two")


def test_a_stream_can_be_stopped(look: Look, upstream: FakeUpstream) -> None:
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "One"}, "finish_reason": None}],
    }
    upstream.reply_sse([chunk]).hang_after(1)
    page = (inspector := look()).page
    inspector.go("playground")
    send(page, "Count.", GEMINI)
    expect(page.locator(".live-answer")).to_have_text("One")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    expect(page.locator(".role-assistant")).to_contain_text("One")


def test_tools_are_offered_and_their_results_sent(look: Look, gateway: LiveGateway) -> None:
    page = (inspector := look()).page
    inspector.go("playground")
    page.get_by_text("Tools (JSON)").click()
    page.get_by_label("Tools").or_(page.locator("#play-tools")).first.fill("[not json")
    expect(page.get_by_text("This is no JSON list of tools")).to_be_visible()
    page.get_by_role("button", name="Example tool").click()
    send(page, f"mock-script: {json.dumps(SCRIPT)}")
    expect(page.locator(".role-assistant .call")).to_contain_text("get_weather")
    expect(page.locator(".role-assistant .call")).to_contain_text("Seoul")
    page.get_by_label("Result of get_weather").fill("sunny")
    page.get_by_role("button", name="Send results").click()
    expect(page.locator(".role-assistant").last).to_contain_text("It is sunny.")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".message")).to_have_count(0)


def test_a_whole_answer_and_a_refusal(look: Look, gateway: LiveGateway) -> None:
    page = (inspector := look()).page
    inspector.go("playground")
    page.get_by_label("Stream").uncheck()
    send(page, 'mock-script: {"text": "Whole."}')
    expect(page.locator(".role-assistant")).to_contain_text("Whole.")
    inspector.problems.clear()
    send(page, 'mock-script: {"error": {"status": 429, "message": "Too fast."}}')
    expect(page.get_by_role("alert").filter(has_text="429 · Too fast.")).to_be_visible()
    inspector.problems = [problem for problem in inspector.problems if "429" not in problem]
    page.locator(".play-error a").click()
    expect(page.locator(".errors")).to_contain_text("Too fast.")


def test_a_stored_request_is_the_beginning_of_another(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway, "Write them."), look()
    inspector.open(request)
    inspector.page.get_by_role("link", name="Open in playground").click()
    expect(inspector.page.get_by_label("Prompt", exact=True)).to_have_value("Write them.")
    expect(inspector.page.locator("#play-model")).to_have_value(GEMINI)
    expect(inspector.page.locator("#play-tools")).to_have_value(re.compile('"name": "write"'))


def test_a_key_is_asked_for_and_kept_in_memory_only(browser, start: Callable[..., LiveGateway]) -> None:
    gateway = start(GATEWAY_API_KEYS=KEY)
    inspector = Inspector(browser, gateway.url)
    page = inspector.page
    inspector.go("playground")
    page.get_by_label("API key of this gateway").fill("wrong")
    page.get_by_label("API key of this gateway").press("Enter")
    page.get_by_label("API key of this gateway").fill(KEY)
    page.get_by_role("button", name="Use").click()
    send(page, "Hello!")
    expect(page.locator(".role-assistant")).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert KEY not in kept
    page.reload()
    expect(page.get_by_label("API key of this gateway")).to_be_visible()
    assert [problem for problem in inspector.problems if "401" not in problem] == []
    inspector.context.close()
