"""500 hostile outputs: nothing runs, nothing leaves, nothing freezes."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MainThread, Reader, Server
from tests.browser.hostile import N, output

A_PAGE = 50
FREEZE_MS = 100
TRIES = 3

WATCH_FREEZES = (
    "window.freezes = [];"
    "new PerformanceObserver((list) => { for (const one of list.getEntries()) freezes.push(one.duration) })"
    ".observe({ type: 'longtask', buffered: true })"
)
DANGER = """() => [...document.querySelectorAll('.prose *')].filter((one) =>
    /^(script|style|iframe|object|embed|link|meta|base|form|img|video|audio|input|template)$/i.test(one.localName)
    || [...one.attributes].some(({ name, value }) => /^on/i.test(name)
        || (name === 'href' && !/^(https?|mailto):/i.test(value))
        || /url\\(|javascript:/i.test(name === 'style' ? value : '')))
    .map((one) => one.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("first", range(0, N, A_PAGE))
def test_nothing_that_a_model_writes_runs_leaves_or_freezes(reader: Reader, server: Server, first: int) -> None:
    texts = [output(number) for number in range(first, first + A_PAGE)]
    conversation = server.new_conversation(f"Hostile from {first}")
    server.fill(conversation, [part for text in texts for part in ("And now?", text)])
    page = reader.page
    page.add_init_script(WATCH_FREEZES)
    reader.open(f"/c/{conversation}")
    answers = page.locator(".is-assistant")
    expect(answers).to_have_count(A_PAGE)
    thread = MainThread(page)
    frozen: list[int] = []
    for at in range(A_PAGE):
        before = thread.busy_s()
        is_slow = _worst_freeze_ms(reader, at) > FREEZE_MS
        if is_slow and thread.busy_s() - before > FREEZE_MS / 1000:
            frozen.append(at)
    assert page.evaluate("window.__ran") is None
    assert page.evaluate("window.violations") == []
    assert page.title().startswith("Hostile")
    for number in frozen:
        is_smooth = any(_alone(reader, server, texts[number]) <= FREEZE_MS for _ in range(TRIES))
        assert is_smooth, f"output {first + number} freezes the page: {texts[number][:80]!r}"


def _worst_freeze_ms(reader: Reader, at: int) -> float:
    """Bring one answer into view, wait until it is drawn, press on all it has."""
    said: dict[str, Any] = reader.page.evaluate(
        """async (at) => {
            freezes.length = 0;
            const answer = document.querySelectorAll('.is-assistant')[at];
            answer.scrollIntoView();
            const frame = () => new Promise(requestAnimationFrame);
            for (let n = 0; n < 200 && !answer.querySelector('.prose > :not(.tail:empty)'); n++) await frame();
            for (let n = 0; n < 2; n++) await frame();
            for (const one of answer.querySelectorAll('.prose *:not(a):not(button)')) {
                one.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }));
                if (freezes.length > 40) break;
            }
            return { worst: Math.max(0, ...freezes), danger: (DANGER)() };
        }""".replace("DANGER", DANGER),
        at,
    )
    assert said["danger"] == []
    return float(said["worst"])


def _alone(reader: Reader, server: Server, text: str) -> float:
    """The same output by itself: what is its own fault is seen each time, and the page's main thread computes for it;
    what another process did is not."""
    conversation = server.new_conversation("Hostile, alone")
    server.fill(conversation, ["And now?", *["Well.", "And now?"] * 30, text])
    reader.open(f"/c/{conversation}")
    reader.page.wait_for_timeout(200)
    thread = MainThread(reader.page)
    before = thread.busy_s()
    worst_ms = _worst_freeze_ms(reader, 30)
    return min(worst_ms, 1000 * (thread.busy_s() - before))
