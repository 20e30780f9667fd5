"""Drives the inspector page in a real browser; whatever goes wrong unseen (an error, a dialog, a foreign host) is kept.

with Inspector(browser, gateway.url) as inspector:
    inspector.page.click("text=Playground")
"""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.inspector_guard import TOKEN
from tests.client import LiveGateway

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# As root a sandbox cannot be had; the rest keeps the browser from calling its maker.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1280, "height": 800}
LIMIT = 15_000.0  # milliseconds to wait for what must come
POLL = 0.02  # seconds

expect.set_options(timeout=LIMIT)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start the machine's own Chromium. Skips, loudly, where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("Chromium is missing: THE TESTS OF THE INSPECTOR PAGE ARE NOT RUN")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Inspector:
    """One window on the inspector of the gateway at `url`. Leaving it fails if anything went wrong unseen."""

    def __init__(self, browser: Browser, url: str, token: str | None = TOKEN, **window: Any) -> None:
        self.url = url
        self.problems: list[str] = []
        self.context = browser.new_context(**{"viewport": WIDE, "locale": "en-US", "color_scheme": "light", **window})
        self.context.set_default_timeout(LIMIT)
        self.page: Page = self.context.new_page()
        self.page.on("dialog", self._on_dialog)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("console", self._on_console)
        self.page.on("request", self._on_request)
        self.page.goto(f"{url}/inspector" + (f"?token={token}" if token else ""))

    def __enter__(self) -> "Inspector":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.context.close()
        if kind is None and self.problems:
            pytest.fail("in the page: " + "; ".join(self.problems))

    def go(self, view: str) -> None:
        """Go to `#/view` as a link would."""
        self.page.evaluate("hash => { location.hash = hash; }", f"#/{view}")

    def tab(self, name: str) -> None:
        """Open a tab of the request that is open and wait until its content is there."""
        self.page.get_by_role("tab", name=re.compile(f"^{name}")).click()
        self.page.locator(f"[role=tab][aria-selected=true]:has-text('{name}')").wait_for()
        self.page.wait_for_function("() => !/^Loading/.test(document.querySelector('.panel').textContent)")

    def open(self, request: str, tab: str = "summary") -> None:
        """Open a request by its id."""
        self.go(f"request/{request}/{tab}")
        self.page.locator(f"#tab-{tab}[aria-selected=true]").wait_for()
        self.page.wait_for_function("() => !/^Loading/.test(document.querySelector('.panel').textContent)")

    @property
    def rows(self) -> Any:
        """The rows of the list that are drawn, without its head."""
        return self.page.locator(".rrow[data-id]")

    def _on_dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_console(self, message: Any) -> None:
        # A part that was not kept is asked for all the same, and the browser logs each 404.
        if message.type in ("error", "warning") and "status of 404" not in message.text:
            self.problems.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc and not request.url.startswith("data:"):
            self.problems.append(f"asked another host: {request.url}")


def wait_stored(gateway: LiveGateway, request: str) -> None:
    """Wait until a request that was answered is stored: a process of its own does that."""
    deadline = time.monotonic() + LIMIT / 1000
    headers = {"Authorization": f"Bearer {TOKEN}"}
    while time.monotonic() < deadline:
        found = gateway.get(f"/inspector/api/traces/{request}", headers)
        if found.status == 200 and found.json["summary"]["duration"] is not None:
            return
        gateway.app.extensions["trace_store"].flush(1)
        time.sleep(POLL)
    pytest.fail(f"{request} is not stored: {found.raw!r}")
