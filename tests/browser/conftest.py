"""A real Chromium before a real server whose model is scripted. Without Chromium these tests are skipped with the
reason, or fail when `BETHINK_TEST_BROWSER=required` (as CI sets it)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Dialog, Page, Request, expect, sync_playwright

STARTS_S = 120
"""On a machine that does much else; where nothing else runs it takes two."""
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright runs an event loop in this thread as long as it is open: not beyond a module."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("BETHINK_TEST_BROWSER") == "required":
            pytest.fail("a Chromium is required here")
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=ARGS)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built from its source; what that needs is installed."""
    out = tmp_path_factory.mktemp("page") / "built"
    build = Path(__file__).parents[2] / "web" / "build.py"
    subprocess.run([sys.executable, str(build), "--out", str(out)], check=True)
    return out


@dataclass
class Server:
    """A server process over a folder that outlives it."""

    folder: Path
    port: int
    secret_file: Path | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        more = [str(self.secret_file)] if self.secret_file else []
        command = [sys.executable, "-m", "tests.browser.scripted_server", str(self.port), str(self.folder), *more]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        end = time.monotonic() + STARTS_S
        while True:
            try:
                httpx.get(self.url + "/healthz", timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                assert self.process.poll() is None, "the server stopped by itself"
                if time.monotonic() > end:
                    self.kill()
                    pytest.fail("the server does not come up")
                time.sleep(0.1)

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def new_conversation(self, title: str = "A conversation") -> str:
        return httpx.post(self.url + "/api/conversations", json={"title": title}, timeout=20).json()["id"]

    def fill(self, conversation: str, messages: list[str]) -> None:
        """Questions and answers by turns, written as the server keeps them, without waiting for a model."""
        with sqlite3.connect(self.folder / "accounts.db", timeout=20) as db:
            parent: str | None = None
            for at, content in enumerate(messages):
                node_id, role = f"{conversation}-{at:05d}", "assistant" if at % 2 else "user"
                db.execute(
                    "insert into bt_nodes (id, conversation_id, parent, role, status, content, created_us)"
                    " values (?, ?, ?, ?, 'done', ?, ?)",
                    (node_id, conversation, parent, role, content, 1_790_000_000_000_000 + at),
                )
                parent = node_id
            db.execute("update bt_conversations set leaf = ? where id = ?", (parent, conversation))
        db.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that do not harm it."""
    running = Server(tmp_path_factory.mktemp("served"), free_port())
    running.start()
    yield running
    running.stop()


@dataclass
class Watched:
    """A tab, and everything it did that it must not. `address` is the only one it may speak to."""

    page: Page
    address: str
    wrongs: list[str] = field(default_factory=list[str])
    forgives_dialogs: bool = False

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._requested)
        self.page.on("popup", lambda popup: self.wrongs.append(f"window: {popup.url}"))
        self.page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', (event) =>"
            " violations.push(event.violatedDirective + ' ' + event.blockedURI))"
        )

    def _asked(self, dialog: Dialog) -> None:
        if self.forgives_dialogs:
            dialog.accept()
        else:
            self.wrongs.append(f"dialog: {dialog.message}")
            dialog.dismiss()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address + "/", "blob:", "data:")):
            self.wrongs.append(f"request: {request.url[:200]}")


def send(session: CDPSession, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Speak to the browser as its developer tools do."""
    call = cast("Callable[..., dict[str, Any]]", session.send)  # pyright: ignore[reportUnknownMemberType]
    return call(method, parameters)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Server]:
    """A server that lets nobody in without a key; an administrator's stands in its `secret_file`."""
    server = Server(tmp_path / "home", free_port(), secret_file=tmp_path / "secret")
    server.start()
    yield server
    server.stop()


class MainThread:
    """What the page's main thread computes, in seconds of the processor: other programs here do not count."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        send(self._session, "Performance.enable", {"timeDomain": "threadTicks"})

    def busy_s(self) -> float:
        metrics = send(self._session, "Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


@dataclass
class Reader:
    """Somebody before the page."""

    watched: Watched

    @property
    def page(self) -> Page:
        return self.watched.page

    def open(self, path: str = "/") -> None:
        self.page.goto(self.watched.address + path)
        self.page.wait_for_selector("#question, .settings, .columns")

    def ask(self, question: str) -> None:
        """Type it and press Enter."""
        field_ = self.page.get_by_role("textbox", name="Your question")
        field_.fill(question)
        field_.press("Enter")

    def answered(self, n: int = 1) -> None:
        """Wait until so many answers stand there with their evidence."""
        expect(self.page.locator(".evidence")).to_have_count(n)


Open = Callable[..., Reader]


@pytest.fixture
def reader_at(browser: Browser) -> Iterator[Open]:
    """Opens tabs; what no tab may do is looked at when the test is over."""
    contexts: list[BrowserContext] = []
    tabs: list[Watched] = []

    def opened(address: str, *, width: int = 1280, height: int = 860, scheme: str = "light", **more: bool) -> Reader:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            **more,  # pyright: ignore[reportArgumentType]  # switches of a context
        )
        contexts.append(context)
        watched = Watched(context.new_page(), address)
        watched.watch()
        tabs.append(watched)
        return Reader(watched)

    yield opened
    wrongs = [wrong for tab in tabs for wrong in tab.wrongs]
    for context in contexts:
        context.close()
    assert not wrongs


@pytest.fixture
def reader(reader_at: Open, server: Server) -> Reader:
    return reader_at(server.url)
