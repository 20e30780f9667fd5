"""The pictures of README.md: made of a real stream with repairs; GATEWAY_RECORD_SCREENSHOTS=1 writes them anew."""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.client import LiveGateway
from tests.gateway import ROOT
from tests.inspector.conftest import GEMINI, SCHEMA, stored
from tests.inspector.driving import Inspector
from tests.inspector.small_png import decode, shrink
from tests.scenarios.builder import build_chunks
from tests.upstream import Answer, FakeUpstream, Recorded, sse_answer
from tests.upstream_gemini import GEMINI_3

PICTURES = ROOT / "docs" / "screenshots"
NAMES = ("list-light", "list-dark", "timeline-light", "timeline-dark")
MOST = 300_000  # bytes of all pictures
RECORDING = os.environ.get("GATEWAY_RECORD_SCREENSHOTS") == "1"
SIZE = {"width": 1180, "height": 640}
WORDS = (
    "It keeps a held carriage return , so a chunk cut between CR and LF stays one line ; I shall add one test .".split(
        " "
    )
)
ASKED = (
    "Why is the last line lost when a chunk ends in CR?",
    "Write a test for it.",
    "Run the tests.",
    "Fix the import order.",
    "Explain the retry rule.",
    "Summarise what changed.",
)
CALL = ("edit", {"path": "tests/test_sse.py", "old": "", "new": "def test_cr():\n    assert read(b'a\\r') == []\n"})
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("read", "edit", "bash")]


def paced(upstream: FakeUpstream) -> None:
    """Have the upstream talk as a model does: a pause before the first word, words, one long silence, a call."""
    words = [word + " " for word in WORDS]
    turn = build_chunks("", [CALL], GEMINI_3)
    said = [
        {**turn[0], "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        for word in words
    ]
    pauses = [0.35, *(0.02 + 0.03 * (n % 3) for n in range(len(said) - 1)), 1.3, 0.05]

    def answer(_: Recorded) -> Answer:
        whole = sse_answer([*said, *turn])
        gates = [whole.gate_after(n) for n in range(len(pauses))]
        threading.Thread(target=open_slowly, args=(gates,), daemon=True).start()
        return whole

    def open_slowly(gates: list) -> None:
        for gate, pause in zip(gates, pauses, strict=True):
            gate.wait_reached(10)
            time.sleep(pause)  # the pace is the picture
            gate.open()

    upstream.reply_with(answer)


@pytest.fixture
def agent(gateway: LiveGateway, upstream: FakeUpstream) -> str:
    """Some requests as agents send them; returns the id of the last one, which was streamed at a model's pace."""
    with ThreadPoolExecutor(5) as agents:
        list(agents.map(lambda number: small_talk(gateway, upstream, number), range(24)))
    return send(gateway, ASKED[1], upstream, whole=False)


def small_talk(gateway: LiveGateway, upstream: FakeUpstream, number: int) -> None:
    chance = random.Random(number)
    if number % 5 == 2:
        send(gateway, ASKED[number % 6], upstream, whole=True)
        return
    usage = {"prompt_tokens": chance.randrange(900, 40_000), "completion_tokens": chance.randrange(40, 900)}
    error = {"error": {"status": 429, "message": "Quota exceeded for this project."}}
    script = (
        error
        if number in (6, 15)
        else {"usage": usage, "delay": chance.choice([0.001, 0.004, 0.012, 0.03]), "text": " ".join(WORDS)}
    )
    body = {
        "model": "mock",
        "stream": True,
        "mock": script,
        "messages": [{"role": "user", "content": ASKED[number % 6]}],
    }
    gateway.post(
        "/v1/chat/completions", body, {"X-Session-Id": f"ses_{4 + number // 9}a1f", "User-Agent": "opencode/1.18.33"}
    )


def send(gateway: LiveGateway, text: str, upstream: FakeUpstream, whole: bool) -> str:
    """Ask the Gemini-like model, at once or at a model's pace."""
    if whole:
        upstream.reply_sse(build_chunks("Done.", [CALL], GEMINI_3))
    else:
        paced(upstream)
    body = {"model": GEMINI, "stream": True, "tools": TOOLS, "messages": [{"role": "user", "content": text}]}
    reply = gateway.post("/v1/chat/completions", body, {"X-Session-Id": "ses_5a1f", "User-Agent": "opencode/1.18.33"})
    return stored(gateway, reply)


def test_the_pictures_are_made(browser: Browser, gateway: LiveGateway, agent: str, tmp_path: Path) -> None:
    folder = PICTURES if RECORDING else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        with Inspector(browser, gateway.url, viewport=SIZE, color_scheme=theme) as inspector:
            expect(inspector.page.locator(".live")).to_have_text("live")
            expect(inspector.rows).not_to_have_count(0)
            picture(inspector, folder / f"list-{theme}.png")
            inspector.open(agent, "timeline")
            expect(
                inspector.page.locator(".trow.stall").or_(inspector.page.locator(".strip-stall")).first
            ).to_be_visible()
            inspector.page.locator(".timeline-rows").evaluate("rows => rows.scrollTo(0, rows.scrollHeight)")
            inspector.page.locator(".trow", has_text="tool.id").last.click()
            expect(inspector.page.locator(".dock")).to_contain_text("call_")
            picture(inspector, folder / f"timeline-{theme}.png")
    assert all((folder / f"{name}.png").stat().st_size < MOST for name in NAMES)


def picture(inspector: Inspector, path: Path) -> None:
    """Make a picture; making it small takes a second or two, so it is done to those only that are kept, and to one."""
    made = inspector.page.screenshot(animations="disabled", caret="hide")
    path.write_bytes(shrink(made) if RECORDING or path.name == "timeline-dark.png" else made)


@pytest.mark.parametrize("name", NAMES)
def test_the_pictures_of_the_documents_are_there_and_small(name: str) -> None:
    width, height = size_of((PICTURES / f"{name}.png").read_bytes())
    assert (width, height) == (SIZE["width"], SIZE["height"])
    assert f"docs/screenshots/{name}.png" in (ROOT / "README.md").read_text("utf-8")
    assert sum((PICTURES / f"{other}.png").stat().st_size for other in NAMES) < MOST


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_a_picture_stays_itself_when_it_is_made_small(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 60, "height": 40})
    page.set_content("<body bgcolor=#102030><p>Text</p>")
    before = page.screenshot()
    page.close()
    width, height, lines = decode(before)
    assert (width, height, lines[0][0]) == (60, 40, (16, 32, 48))
    small = shrink(before)
    assert size_of(small) == (60, 40)
    assert small[25] == 3 and small.startswith(before[:16])
