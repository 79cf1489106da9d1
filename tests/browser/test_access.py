"""The page for everyone: an automated audit in both themes on wide and narrow screens, and the keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, Reader, Server, send

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


def audit(reader: Reader) -> list[str]:
    """What axe finds, each in a line."""
    # The page's own policy lets no text become script; a debugger is not bound by it.
    session = reader.page.context.new_cdp_session(reader.page)
    send(session, "Runtime.evaluate", {"expression": AXE.read_text()})
    found: dict[str, Any] = reader.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.usefixtures("built")
def test_an_audit_finds_nothing(reader_at: Open, server: Server, scheme: str, width: int) -> None:
    reader = reader_at(server.url, width=width, scheme=scheme, has_touch=width < 800, is_mobile=width < 800)
    found: dict[str, list[str]] = {}
    reader.open()
    found["first screen"] = audit(reader)
    reader.page.get_by_label(re.compile("More$|set$")).or_(reader.page.locator(".more > summary")).first.click()
    found["settings of an answer"] = audit(reader)
    reader.page.keyboard.press("Escape")
    reader.ask("slow: tell me of bridges")
    expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
    found["thinking"] = audit(reader)
    reader.page.get_by_role("button", name="Answer now").click()
    reader.answered()
    reader.ask("rich answer please")
    reader.answered(2)
    reader.page.locator("[data-fold]").last.click()
    found["answered"] = audit(reader)
    reader.page.get_by_role("button", name="Answer again").last.click()
    expect(reader.page.locator(".branches").last).to_contain_text("2 / 2")
    reader.answered(2)
    reader.page.get_by_role("button", name=re.compile("side by side")).last.click()
    reader.answered(2)
    found["side by side"] = audit(reader)
    for tab in ("models", "usage", "keys", "people", "looks"):
        reader.page.goto(f"{server.url}/settings/{tab}")
        reader.page.wait_for_selector(".card")
        for fold in reader.page.locator(".fold > summary").all()[:2]:
            fold.click()
        found[tab] = audit(reader)
    assert {where: wrongs for where, wrongs in found.items() if wrongs} == {}


def test_everything_works_by_keyboard_alone(reader: Reader) -> None:
    reader.open()
    page, press = reader.page, reader.page.keyboard.press
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()
    page.keyboard.type("slow: by keyboard")
    press("Enter")
    expect(page.locator(".thought .prose")).to_contain_text("what the")
    press("Alt+A")
    reader.answered()
    press("Alt+T")
    expect(page.locator(".thought .prose")).to_be_visible()
    page.locator("body").evaluate("document.activeElement.blur()")
    press("k")
    expect(page.locator(".is-assistant")).to_be_focused()
    press("k")
    expect(page.locator(".is-user")).to_be_focused()
    press("Tab")
    expect(page.get_by_role("button", name="Edit and ask again")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("textbox", name="The question")).to_be_focused()
    press("Escape")
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("Escape")
    press("Control+k")
    expect(page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
    press("Alt+n")
    expect(page.get_by_role("heading", name="What shall we think about?")).to_be_visible()
    press("Alt+,")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()


def test_with_reduced_motion_nothing_moves(reader_at: Open, server: Server) -> None:
    reader = reader_at(server.url)
    reader.page.emulate_media(reduced_motion="reduce")
    reader.open()
    reader.ask("slow: tell me of bridges")
    expect(reader.page.locator(".thought.is-busy")).to_be_visible()
    assert reader.page.evaluate("document.getAnimations().length") == 0
    reader.page.get_by_role("button", name="Answer now").click()
    reader.answered()


def test_a_screen_reader_hears_events_not_tokens(reader: Reader) -> None:
    reader.open()
    reader.page.evaluate(
        "() => { window.heard = []; const box = document.querySelector('[aria-live=polite]');"
        " new MutationObserver(() => heard.push(box.textContent))"
        ".observe(box, { childList: true, characterData: true, subtree: true }) }"
    )
    reader.ask("slow: tell me of bridges")
    reader.answered()
    assert reader.page.evaluate("heard") == ["Thinking.", "The answer is there."]
