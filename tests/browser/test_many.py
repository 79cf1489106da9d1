"""Long conversations: 5,000 messages open, scroll and stream as a short one does."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MainThread, Reader, Server

N = 5_000
READ = 300
ANSWER = """Message {n}. Some **words** of it, `code`, and a list:

- one thing
- another thing, which takes a whole line of its own to be said in full

```python
print({n})
```
"""
FRAMES = """(ms) => new Promise((done) => {
    let n = 0; const end = performance.now() + ms;
    const tick = (now) => { n++; now < end ? requestAnimationFrame(tick) : done(n) };
    requestAnimationFrame(tick);
})"""
PAUSE_S = 0.1
"""What a person sees as a pause. How far below it frames stay on a quiet machine is no matter for a test."""


def frame_s(reader: Reader, ms: int) -> float:
    """Seconds of the processor that one frame takes on the main thread, over so many milliseconds."""
    thread = MainThread(reader.page)
    before = thread.busy_s()
    n_frames = reader.page.evaluate(FRAMES, ms)
    return (thread.busy_s() - before) / n_frames


@pytest.fixture(scope="module")
def long(server: Server) -> str:
    conversation = server.new_conversation("A long one")
    server.fill(conversation, [ANSWER.format(n=n) if n % 2 else f"Question {n}?" for n in range(N)])
    return conversation


def test_5000_messages_open_at_their_end_and_only_what_is_near_is_drawn(reader: Reader, long: str) -> None:
    reader.open(f"/c/{long}")
    expect(reader.page.locator(".message")).to_have_count(N)
    expect(reader.page.get_by_text(f"Message {N - 1}.")).to_be_in_viewport()
    assert 2 < reader.page.locator(".prose").count() < 60


def test_5000_messages_scroll_without_a_pause(reader: Reader, long: str) -> None:
    reader.open(f"/c/{long}")
    expect(reader.page.locator(".message")).to_have_count(N)
    reader.page.wait_for_timeout(500)
    reader.page.evaluate(
        "() => { const box = document.querySelector('.scroll'); let n = 0;"
        " const step = () => { box.scrollTop -= 60; if (++n < 200) requestAnimationFrame(step) }; step(); }"
    )
    assert frame_s(reader, 2500) < PAUSE_S
    reader.page.evaluate("document.querySelector('.scroll').scrollTop = 0")
    expect(reader.page.get_by_text("Message 1.", exact=False).first).to_be_visible()
    assert reader.page.locator(".prose").count() < 80


def test_frames_keep_coming_while_an_answer_streams_into_a_long_conversation(reader: Reader, server: Server) -> None:
    conversation = server.new_conversation("As long as a model can still read")
    server.fill(conversation, [ANSWER.format(n=n) if n % 2 else f"Question {n}?" for n in range(READ)])
    reader.open(f"/c/{conversation}")
    expect(reader.page.locator(".message")).to_have_count(READ)
    reader.ask("slow: tell me of bridges")
    expect(reader.page.locator(".thought .prose")).to_contain_text(re.compile("what the"))
    assert frame_s(reader, 2500) < PAUSE_S
    reader.answered()


def test_what_grows_is_drawn_without_touching_what_stands(reader: Reader) -> None:
    reader.open()
    reader.ask("slow: tell me of harbours")
    first = reader.page.locator(".thought .prose > p").first
    expect(first).to_contain_text("what the")
    reader.page.wait_for_timeout(700)
    reader.page.evaluate("document.querySelector('.thought .prose > p').dataset.mark = '1'")
    reader.page.wait_for_timeout(700)
    expect(reader.page.locator(".thought .prose > p[data-mark='1']")).to_have_count(1)
    reader.page.get_by_role("button", name="Answer now").click()
    reader.answered()
