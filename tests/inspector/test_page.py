"""The page in a real browser: the list grows live, filters, and one request is shown from every side."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.client import LiveGateway
from tests.inspector.conftest import GEMINI, TURNS, ask, ask_mock
from tests.inspector.driving import Inspector
from tests.upstream import Answer, FakeUpstream, Gate, Recorded
from tests.upstream_gemini import GeminiMode

Look = Callable[..., Inspector]


def gated(upstream: FakeUpstream) -> Gate:
    """Have the upstream stop after its first event until the gate is opened."""
    gate, gemini = Gate(), GeminiMode(TURNS)

    def answer(request: Recorded) -> Answer:
        said = gemini(request)
        said.gate_after(1, gate)
        return said

    upstream.reply_with(answer)
    return gate


def test_a_streamed_request_with_repairs_appears_live(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    gate, page = gated(upstream), (inspector := look()).page
    expect(page.get_by_text("No requests here.")).to_be_visible()
    expect(page.locator(".live")).to_have_text("live")
    page.evaluate("window.neverReloaded = true")
    asking = threading.Thread(target=ask, args=(gateway,))
    asking.start()
    expect(inspector.rows.first.locator(".c-status")).to_have_text("running")
    expect(inspector.rows.first.locator(".c-note")).to_have_text("Write two files.")
    inspector.rows.first.click()
    expect(page.locator(".panel")).to_contain_text("The answer is still on its way.")
    page.get_by_role("tab", name="Timeline").click()  # live: both sides, while the upstream has more to say
    expect(page.locator(".trow .emitted", has_text="I shall")).to_be_visible()
    page.locator(".trow.chunk").last.click()
    page.get_by_role("tab", name="Request diff").click()
    expect(page.locator(".diff")).to_contain_text("$schema")
    page.get_by_role("tab", name="Summary").click()
    expect(inspector.rows.first.locator(".c-status")).to_have_text("running")
    gate.open()
    expect(inspector.rows.first.locator(".c-status")).to_have_text("200")
    asking.join()
    assert int(inspector.rows.first.locator(".badge").inner_text()) >= 5
    expect(page.locator(".panel")).to_contain_text("gemini.schema")  # what was open has been brought up to date
    assert page.evaluate("window.neverReloaded")
    expect(inspector.rows).to_have_count(1)


def test_a_request_that_is_opened_before_it_is_stored_is_shown_when_it_is(
    look: Look, gateway: LiveGateway, upstream: FakeUpstream
) -> None:
    gate, first = gated(upstream), look()
    asking = threading.Thread(target=ask, args=(gateway,))
    asking.start()
    request = first.rows.first.get_attribute("data-id")
    early = look()
    early.page.route(f"**/api/traces/{request}", lambda route: route.fulfill(status=404, json={}), times=1)
    with early.page.expect_response(lambda answer: answer.status == 404):
        early.go(f"request/{request}/timeline")
    gate.open()
    expect(early.page.locator(".trow").first).to_be_visible()
    asking.join()


def test_a_request_that_was_stored_before_the_page_heard_of_it_is_shown(look: Look, gateway: LiveGateway) -> None:
    request, page = ask(gateway), (inspector := look()).page
    page.route("**/api/traces?*", lambda route: route.fulfill(json={"traces": [], "next": None}))
    page.route(f"**/api/traces/{request}", lambda route: route.fulfill(status=404, json={}), times=1)
    page.reload()
    with page.expect_response(lambda answer: answer.status == 404):
        inspector.go(f"request/{request}/timeline")
    expect(page.locator(".trow").first).to_be_visible()


def test_the_timeline_shows_both_sides_and_the_rule_between(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    gemini = GeminiMode(TURNS)
    upstream.reply_with(lambda request: replace(gemini(request), cuts=[]))  # in one read, however busy the machine is
    request, inspector = ask(gateway), look()
    inspector.open(request, "timeline")
    row = inspector.page.locator(".trow", has_text="tool.id").first
    expect(row.locator(".raw")).to_contain_text('id "" write')
    expect(row.locator(".raw")).to_contain_text("call[no index]")
    expect(row.locator(".rules")).to_contain_text("stream.tool_index")
    expect(row.locator(".emitted")).to_contain_text(re.compile(r'call\[0\] id "call_\w+'))
    row.click()
    dock = inspector.page.locator(".dock")
    expect(dock.locator("section").first).to_contain_text('"thought_signature"')
    expect(dock.locator(".repairs li").filter(has_text="tool_index").locator("ins")).to_have_text("0")
    inspector.page.get_by_role("button", name="Exact text").click()
    expect(row.locator(".raw")).to_contain_text('"object":"chat.completion.chunk"')


def test_what_was_repaired_before_the_upstream_was_asked_stands_first(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway), look()
    inspector.open(request, "timeline")
    first = inspector.page.locator(".trow.chunk").first
    expect(first.locator(".rules")).to_have_text("gemini.schema")
    expect(first.locator(".raw")).to_have_text("")
    inspector.page.keyboard.press("n")
    expect(inspector.page.locator(".dock")).to_contain_text("additionalProperties")


def test_thousands_of_chunks_scroll(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    text = " ".join(f"word{n}" for n in range(3000))
    pieces = [{"content": f"{word} "} for word in text.split(" ")]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [{**chunk, "choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces]
    upstream.reply_sse([*said, {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}])
    request, inspector = ask(gateway), look()
    inspector.open(request, "timeline")
    page = inspector.page
    expect(page.locator(".toolbar")).to_contain_text("3,001 raw")
    page.locator(".timeline-rows").focus()
    page.keyboard.press("End")
    expect(page.locator(".trow.chunk", has_text="word2999 ").locator(".emitted")).to_contain_text("word2999 ")
    assert page.locator(".trow").count() < 120, "only what can be seen is drawn"
    page.locator(".strip").click(position={"x": 12, "y": 20})
    expect(
        page.locator(".trow.chunk", has_text="word0 ").or_(page.locator(".trow", has_text="gemini.schema")).first
    ).to_be_visible()


def test_the_diff_shows_the_schema_change(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway), look()
    inspector.open(request, "diff")
    diff = inspector.page.locator(".diff")
    expect(diff.locator(".diff-line.removed", has_text="$schema")).to_have_count(1)
    expect(diff.locator(".diff-line.removed", has_text="additionalProperties: false")).to_have_count(1)
    expect(diff.locator(".diff-line.changed")).to_contain_text('type: ["string","null"] → "string"')
    expect(diff.locator(".diff-line.added", has_text="nullable: true")).to_have_count(1)
    expect(diff.locator("summary", has=inspector.page.locator(".rule-chip"))).to_contain_text("gemini.schema")
    folded = diff.get_by_role("button", name=re.compile("unchanged: .*messages"))
    folded.click()
    expect(diff).to_contain_text("Write two files.")


def test_a_whole_answer_is_compared_with_what_the_upstream_said(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway, stream=False), look()
    inspector.open(request, "timeline")
    panel = inspector.page.locator(".panel")
    expect(panel).to_contain_text("This answer was not streamed.")
    expect(panel.locator(".diff-line.changed", has_text="finish_reason")).to_contain_text('"stop" → "tool_calls"')


def test_filters_choose_and_stand_in_the_address(look: Look, gateway: LiveGateway) -> None:
    ask(gateway)
    ask_mock(gateway, "hello", stream=True)
    ask_mock(gateway, "refuse me", {"error": {"status": 429, "message": "slow down"}})
    inspector = look()
    page, rows = inspector.page, inspector.rows
    expect(rows).to_have_count(3)
    page.get_by_label("Model").select_option("mock")
    expect(rows).to_have_count(2)
    page.get_by_label("Status").select_option("error")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("slow down")
    assert "model=mock" in page.url and "status=error" in page.url
    ask(gateway)  # does not belong to what is shown
    ask_mock(gateway, "again", {"error": {"status": 429, "message": "slow down"}})
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(5)
    page.get_by_role("button", name="Repaired").click()
    expect(rows.locator("text=refuse me")).to_have_count(0)
    expect(rows.first.locator(".badge")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("searchbox").fill("HELLO")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("HELLO")
    page.get_by_role("searchbox").fill("nobody said this")
    expect(page.locator(".empty")).to_have_text("No stored request passes these filters.")


def test_a_conversation_with_its_calls_results_and_images(look: Look, gateway: LiveGateway) -> None:
    call = {
        "id": "call_9",
        "type": "function",
        "function": {"name": "write", "arguments": '{"path":"c.txt","content":"1\\n2"}'},
    }
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4096}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "See this."}, image]},
        {"role": "assistant", "content": None, "reasoning_content": "I should write.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_9", "content": "written"},
    ]
    request, inspector = ask(gateway, messages=messages), look()
    inspector.open(request, "conversation")
    said = inspector.page.locator(".conversation")
    expect(said.locator(".role")).to_have_text(["system", "user", "assistant", "tool", "assistant"])
    expect(said.locator(".placeholder")).to_contain_text("image/png · 3 KB")
    expect(said.locator(".reasoning").first).to_contain_text("I should write.")
    expect(said.locator(".message", has_text="call_9").first).to_contain_text("c.txt")
    expect(said.locator(".role-tool")).to_contain_text("Result of write")
    expect(said.locator(".answer")).to_contain_text("Both files are written.")
    assert inspector.page.locator("img").count() == 0
    inspector.tab("Tools")
    expect(inspector.page.locator(".tools")).to_contain_text("1 tool offered")
    inspector.tab("Parts")
    inspector.page.locator(".parts summary", has_text="client_headers").click()
    expect(inspector.page.locator(".parts")).to_contain_text("opencode/1.18")


def test_bodies_are_loaded_only_on_demand(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway), look()
    asked: list[str] = []
    inspector.page.on("request", lambda sent: asked.append(sent.url))
    inspector.open(request)
    assert not [url for url in asked if "/parts/" in url or "/chunks" in url]
    inspector.page.get_by_role("button", name="Show what changed").click()
    expect(inspector.page.locator(".repairs")).to_contain_text("tools[0]")
    assert [url.rpartition("/")[2] for url in asked if "/parts/" in url] == ["repairs"]


def test_an_error_says_what_the_upstream_really_said(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    upstream.refuse(403, [{"error": {"code": 403, "message": "Billing is off.", "status": "PERMISSION_DENIED"}}])
    request, inspector = ask(gateway), look()
    inspector.open(request, "error")
    panel = inspector.page.locator(".errors")
    expect(panel.locator("section", has_text="What the client was told")).to_contain_text("Billing is off.")
    expect(panel.locator("section", has_text="What the upstream really said")).to_contain_text('"PERMISSION_DENIED"')
    expect(inspector.rows.first.locator(".c-note")).to_contain_text("Billing is off.")


def test_an_answer_that_breaks_off_shows_what_the_upstream_said_last(
    look: Look, gateway: LiveGateway, upstream: FakeUpstream
) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [{"index": 0, "delta": {"content": f"part {n} "}, "finish_reason": None} for n in range(6)]
    upstream.reply_sse([{**chunk, "choices": [choice]} for choice in said]).cut_after(5)
    request, inspector = ask(gateway), look()
    inspector.open(request, "error")
    told, heard = inspector.page.locator(".errors section").all()[:2]
    expect(told.locator(".status")).to_have_text("200")
    expect(told).to_contain_text("The answer had begun")
    expect(told).to_contain_text("upstream_truncated")
    expect(heard).to_contain_text("part 4")
    inspector.open(request, "conversation")
    expect(inspector.page.locator(".answer")).to_contain_text("part 0 part 1")
    expect(inspector.page.locator(".answer-note")).to_contain_text("upstream connection lost")


def test_what_the_gateway_refused_itself_was_never_asked(look: Look, gateway: LiveGateway) -> None:
    request, inspector = ask(gateway, model="nobody"), look()
    inspector.open(request, "error")
    expect(inspector.page.locator(".errors")).to_contain_text("It was not asked")
    expect(inspector.page.locator(".errors dl")).to_contain_text("model_not_found")


def test_a_request_can_be_copied_and_downloaded(look: Look, gateway: LiveGateway) -> None:
    request = ask(gateway)
    inspector = look(permissions=["clipboard-read", "clipboard-write"])
    inspector.open(request)
    inspector.page.get_by_role("button", name="Copy as curl").click()
    expect(inspector.page.locator("#announcer")).to_have_text("Copied.")
    copied = inspector.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl ") and GEMINI in copied
    inspector.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as without HTTPS
    inspector.page.keyboard.press("c")
    expect(inspector.page.get_by_role("dialog").locator("textarea")).to_have_value(copied)
    inspector.page.keyboard.press("Escape")
    with inspector.page.expect_download() as saved:
        inspector.page.get_by_role("link", name="Download capture").click()
    assert '"capture":1' in saved.value.path().read_text("utf-8").split("\n")[0]


def test_a_session_is_followed_turn_by_turn(look: Look, gateway: LiveGateway) -> None:
    first = {"role": "user", "content": "Write two files."}
    ask(gateway)
    inspector = look()
    inspector.go("sessions")
    inspector.page.get_by_role("link", name="ses_1").click()
    turns = inspector.page.locator(".turn")
    expect(turns).to_have_count(1)
    expect(turns.first).to_contain_text("I shall write both.")
    call = {"id": "call_1", "type": "function", "function": {"name": "write", "arguments": "{}"}}
    then = [
        first,
        {"role": "assistant", "content": "I shall write both.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "written"},
        {"role": "user", "content": "And now?"},
    ]
    ask(gateway, messages=then)
    ask(gateway, "other", session="ses_2")
    expect(turns).to_have_count(2)
    expect(turns.nth(1)).to_contain_text("And now?")
    expect(turns.nth(1)).to_contain_text("Result of write")
    expect(turns.nth(1)).to_contain_text("goes on from 1 known message")
    expect(turns.nth(1)).not_to_contain_text("Write two files.")


def test_a_turn_that_still_runs_is_shown_as_it_grows(look: Look, gateway: LiveGateway, upstream: FakeUpstream) -> None:
    gate, inspector = gated(upstream), look()
    inspector.go("session/ses_1")
    asking = threading.Thread(target=ask, args=(gateway,))
    asking.start()
    turn = inspector.page.locator(".turn")
    expect(turn).to_contain_text("Write two files.")
    expect(turn).to_contain_text("I shall")
    expect(turn).not_to_contain_text("finish_reason")
    gate.open()
    expect(turn).to_contain_text("finish_reason tool_calls")
    expect(turn).to_have_count(1)
    asking.join()


def test_plots_over_time_and_the_same_as_tables(look: Look, gateway: LiveGateway) -> None:
    ask(gateway)
    ask_mock(gateway, "no", {"error": {"status": 500, "message": "no"}})
    inspector = look()
    inspector.go("plots")
    requests = inspector.page.locator(".plot-figure", has_text="Requests").first
    expect(requests.locator(".legend")).to_contain_text(re.compile("succeeded 1 *failed 1"))
    rules = inspector.page.locator(".plot-figure", has_text="Repairs by rule")
    expect(rules.locator(".legend")).to_contain_text("tool.id 2")
    assert requests.locator("svg rect.bar").count() >= 1
    requests.get_by_text("As a table").click()
    expect(requests.locator("tbody tr").first).to_be_visible()
    inspector.page.get_by_role("button", name="7 days").click()
    expect(inspector.page).to_have_url(re.compile("range=7d"))


@pytest.mark.parametrize("depth", ["headers", "bodies"])
def test_what_was_not_kept_is_said(depth: str, browser, start: Callable[..., LiveGateway]) -> None:
    gateway = start(GATEWAY_TRACE=depth)
    request = ask(gateway)
    with Inspector(browser, gateway.url) as inspector:
        inspector.open(request, "timeline")
        expect(inspector.page.locator(".panel")).to_contain_text("No chunks were kept")
        inspector.open(request, "diff")
        text = "This was not kept" if depth == "headers" else "received → sent upstream"
        expect(inspector.page.locator(".panel")).to_contain_text(text)
        if depth == "headers":
            inspector.page.get_by_role("button", name="Copy as curl").click()
            expect(inspector.page.locator(".trouble")).to_contain_text("cannot be sent again")


def test_where_nothing_is_stored_the_page_says_so(browser, start: Callable[..., LiveGateway]) -> None:
    with Inspector(browser, start(GATEWAY_TRACE="off").url) as inspector:
        expect(inspector.page.locator(".empty")).to_contain_text("Nothing is stored: GATEWAY_TRACE is off.")
