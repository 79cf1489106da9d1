"""What the chat page costs a browser, in a real Chromium before a server whose model is scripted.

    python bench/page.py                # two minutes of streaming
    python bench/page.py --minutes 60   # the bar of memory

Prints: first paint and when the page can be used, over ten megabits a second 20 ms away; what the page's main thread
computes a frame while 100 tokens a second (of four characters) stream into 500 messages; the same while 5,000 messages
scroll; and what the page holds each minute while one answer after the other streams, with its slope. Milliseconds are
of the main thread's own processor time, from Chromium's trace: other programs do not count. Needs Chromium and `pip
install playwright`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import httpx
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from served import Server, scripted_server
from table import machine, show

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLOW = {"offline": False, "latency": 20, "downloadThroughput": 1_250_000, "uploadThroughput": 1_250_000}
TRACED = ("devtools.timeline", "toplevel", "cc")
FRAME_MS = 1000 / 60
CHARACTERS_A_SECOND = 400
ANSWER_CHARACTERS = 6_000
KINDS = {
    "script": ("FunctionCall", "EvaluateScript", "FireAnimationFrame", "EventDispatch", "TimerFire", "RunMicrotasks"),
    "style": ("UpdateLayoutTree",),
    "layout": ("Layout",),
    "paint": ("PrePaint", "Paint", "Layerize", "Commit"),
}
ANSWER = """Message {n}. Some **words** of it, `code`, and a list:

- one thing
- another thing, which takes a whole line of its own to be said in full

```python
print({n})
```
"""


@dataclass(frozen=True, slots=True)
class Frames:
    """Milliseconds of the main thread for each frame, and those of each kind of work in all of them."""

    ms: Sequence[float]
    kinds: dict[str, float]

    def row(self, what: str) -> tuple[object, ...]:
        ordered = sorted(self.ms)
        share = sum(one > FRAME_MS for one in ordered) / len(ordered)
        each = (f"{self.kinds[kind] / len(ordered):.2f}" for kind in KINDS)
        p95 = ordered[int(len(ordered) * 0.95)]
        return (what, len(ordered), f"{statistics.median(ordered):.1f}", f"{p95:.1f}", f"{share:.1%}", *each)


def send(session: CDPSession, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    call = cast("Callable[..., dict[str, Any]]", session.send)  # pyright: ignore[reportUnknownMemberType]
    return call(method, parameters)


def fill(server: Server, title: str, n: int) -> str:
    """A conversation of so many messages, written as the server keeps them."""
    conversation = str(httpx.post(server.url + "/api/conversations", json={"title": title}).json()["id"])
    with sqlite3.connect(server.home / "accounts.db", timeout=20) as db:
        parent: str | None = None
        for at in range(n):
            node, role = f"{conversation}-{at:05d}", "assistant" if at % 2 else "user"
            content = ANSWER.format(n=at) if at % 2 else f"Question {at}?"
            db.execute(
                "insert into bt_nodes (id, conversation_id, parent, role, status, content, created_us)"
                " values (?, ?, ?, ?, 'done', ?, ?)",
                (node, conversation, parent, role, content, 1_790_000_000_000_000 + at),
            )
            parent = node
        db.execute("update bt_conversations set leaf = ? where id = ?", (parent, conversation))
    db.close()
    return conversation


def ask(server: Server, conversation: str, n_tokens: int) -> str:
    """A question at the end of it, answered without a thought in so many tokens; the answer's id."""
    leaf = httpx.get(f"{server.url}/api/conversations/{conversation}").json()["leaf"]
    settings = {"effort": "none", "paths": 1, "check": "none", "max_tokens": n_tokens}
    body = {"parent": leaf, "content": "Go on.", "settings": settings}
    asked = httpx.post(f"{server.url}/api/conversations/{conversation}/ask", json=body).raise_for_status()
    return str(asked.json()["assistant"]["id"])


def opened(browser: Browser, server: Server, path: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(server.url + path)
    page.wait_for_selector(".message")
    return page


def first_visit(browser: Browser, server: Server, tries: int = 5) -> Sequence[Sequence[object]]:
    paints: list[float] = []
    uses: list[float] = []
    for _ in range(tries):
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        session = context.new_cdp_session(page)
        send(session, "Network.enable")
        send(session, "Network.emulateNetworkConditions", SLOW)
        page.goto(server.url)
        page.wait_for_selector("#question")
        uses.append(page.evaluate("performance.now()"))
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        context.close()
    names = ("first paint", "can be used")
    return [
        (name, f"{statistics.median(each):.0f}", f"{max(each):.0f}")
        for name, each in zip(names, (paints, uses), strict=True)
    ]


def traced(browser: Browser, page: Page, during: Callable[[], None]) -> Frames:
    browser.start_tracing(page=page, categories=list(TRACED))
    during()
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    return frames_of(events)


def frames_of(events: list[dict[str, Any]]) -> Frames:
    """By the busiest main thread of a page: that of ours, for there is no other."""
    mains = {(e["pid"], e["tid"]) for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    spent = Counter[tuple[int, int]]()
    for event in events:
        if event["ph"] == "X" and (event["pid"], event["tid"]) in mains:
            spent[event["pid"], event["tid"]] += 1
    ours = spent.most_common(1)[0][0]
    on_it = [e for e in events if (e.get("pid"), e.get("tid")) == ours]
    begins = sorted(e["ts"] for e in on_it if e["name"] == "ProxyMain::BeginMainFrame" and e["ph"] == "X")
    tasks = sorted((e["ts"], e.get("tdur", 0)) for e in on_it if e["name"] == "ThreadControllerImpl::RunTask")
    ms, at = [0.0] * (len(begins) - 1), 0
    for when, took in tasks:
        while at < len(begins) - 2 and when >= begins[at + 1]:
            at += 1
        if begins[0] <= when < begins[-1]:
            ms[at] += took / 1000
    kinds = {
        kind: sum(e.get("tdur", 0) for e in on_it if e["ph"] == "X" and e["name"] in names) / 1000
        for kind, names in KINDS.items()
    }
    return Frames(ms, kinds)


def streaming(browser: Browser, server: Server, seconds: float) -> Frames:
    conversation = fill(server, "Long", 500)
    node = ask(server, conversation, int((seconds + 30) * CHARACTERS_A_SECOND))
    page = opened(browser, server, f"/c/{conversation}")
    page.wait_for_timeout(10_000)  # so that the answer is long
    before = shown(page)
    frames = traced(browser, page, lambda: page.wait_for_timeout(seconds * 1000))
    print(f"  {(shown(page) - before) / seconds:.0f} characters a second while tracing", file=sys.stderr)
    httpx.post(f"{server.url}/api/nodes/{node}/stop")
    page.context.close()
    return frames


def shown(page: Page) -> int:
    """Characters of all messages that stand on the page."""
    return page.evaluate("document.querySelector('.messages').textContent.length")


def scrolling(browser: Browser, server: Server) -> Frames:
    page = opened(browser, server, f"/c/{fill(server, 'Longer', 5000)}")
    page.wait_for_timeout(1500)
    script = """() => new Promise((done) => { const box = document.querySelector('.scroll'); let n = 0;
        const step = () => { box.scrollTop -= 60; ++n < 400 ? requestAnimationFrame(step) : done() }; step(); })"""
    frames = traced(browser, page, lambda: page.evaluate(script))
    page.context.close()
    return frames


def memory(browser: Browser, server: Server, minutes: float) -> Sequence[Sequence[object]]:
    """Somebody who asks on and on in one conversation: the page stays open all the time, and always streams."""
    conversation = fill(server, "An hour", 20)
    ask(server, conversation, ANSWER_CHARACTERS)
    page = opened(browser, server, f"/c/{conversation}")
    session = page.context.new_cdp_session(page)
    send(session, "Performance.enable")
    rows: list[tuple[float, float, float, int]] = []
    began, n_asked = time.monotonic(), 1
    while True:
        send(session, "HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in send(session, "Performance.getMetrics")["metrics"]}
        at = (time.monotonic() - began) / 60
        rows.append((at, metrics["JSHeapUsedSize"] / 1e6, metrics["Nodes"], n_asked))
        print(f"  {at:.1f} min: {rows[-1][1]:.2f} MB, {rows[-1][2]:.0f} nodes, {n_asked} answers", file=sys.stderr)
        if at >= minutes:
            break
        ends = time.monotonic() + min(60.0, (minutes - at) * 60)
        while time.monotonic() < ends:
            page.wait_for_timeout(250)
            if not page.locator(".live").count():
                page.locator("#question").fill("Go on.")
                page.locator("#question").press("Enter")
                page.wait_for_selector(".live")
                n_asked += 1
    table: list[Sequence[object]] = [(f"{a:.1f}", f"{mb:.2f}", f"{nodes:.0f}", n) for a, mb, nodes, n in rows]
    times, heaps, nodes = ([row[part] for row in rows[len(rows) > 2 :]] for part in (0, 1, 2))
    slopes = [statistics.linear_regression(times, each).slope for each in (heaps, nodes)]
    return [*table, ("a minute", f"{slopes[0]:+.3f}", f"{slopes[1]:+.0f}", "")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a stream is traced")
    given = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("error: a Chromium is needed")
    n_tokens = int((given.seconds + 40) * CHARACTERS_A_SECOND)
    options = ("--tokens", n_tokens, "--delay", 1 / CHARACTERS_A_SECOND, "--context", 1 << 24, "--markdown")
    print(machine())
    with scripted_server(*map(str, options)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGS)
        show("A first visit, ms", ("", "median", "most"), first_visit(browser, server))
        rows = [
            streaming(browser, server, given.seconds).row("100 tokens/s into 500 messages"),
            scrolling(browser, server).row("5,000 messages scroll"),
        ]
        columns = ("", "frames", "median", "p95", "over 16.7", *KINDS)
        show("The main thread, ms a frame", columns, rows)
        held = ("minute", "heap, MB", "nodes", "answers")
        show("What the page holds", held, memory(browser, server, given.minutes))
        browser.close()


if __name__ == "__main__":
    main()
