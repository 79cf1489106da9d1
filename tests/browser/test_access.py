"""The page for everyone: an automated audit in both themes on wide and narrow screens, and the keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.company import come_in, come_in_with_key, let_in
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
    reader.page.get_by_role("button", name="Edit the answer").last.click()
    found["an answer being edited"] = audit(reader)
    reader.page.get_by_role("textbox", name="The answer").fill("rather this")
    reader.page.get_by_role("button", name="Save").click()
    expect(reader.page.locator(".by-hand")).to_be_visible()
    found["an edited answer"] = audit(reader)
    reader.page.get_by_role("button", name="Answer again").last.click()
    expect(reader.page.locator(".branches").last).to_contain_text("3 / 3")
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


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.usefixtures("built")
def test_an_audit_of_a_companys_page_finds_nothing(reader_at: Open, company: Server, scheme: str, width: int) -> None:
    ada, ann = (reader_at(company.url, width=width, scheme=scheme, is_mobile=width < 800) for _ in range(2))
    found: dict[str, list[str]] = {}
    ada.page.goto(company.url)
    expect(ada.page.get_by_label("Your key")).to_be_visible()
    found["a key is asked for"] = audit(ada)
    come_in_with_key(ada.page, company)
    password = let_in(ada.page, company, "ann")
    found["somebody was let in"] = audit(ada)
    for tab in ("usage", "keys", "people"):
        ada.page.goto(f"{company.url}/settings/{tab}")
        ada.page.wait_for_selector(".card")
        for fold in ada.page.locator(".fold > summary").all()[:2]:
            fold.click()
        found[f"an administrator's {tab}"] = audit(ada)
    come_in(ann.page, company, "ann", "a wrong password")
    expect(ann.page.get_by_role("alert")).to_be_visible()
    found["a wrong password"] = audit(ann)
    come_in(ann.page, company, "ann", password)
    expect(ann.page.locator("#question")).to_be_visible()
    ann.page.goto(f"{company.url}/settings/looks")
    ann.page.wait_for_selector(".card")
    found["change of a password"] = audit(ann)
    ann.page.goto(f"{company.url}/settings/people")
    ann.page.wait_for_selector(".card")
    found["not an administrator's"] = audit(ann)
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


LISTENING = """(() => {
    window.clickable = new Set();
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (type, ...rest) {
        if (type === 'click' && this instanceof Element) clickable.add(this);
        return add.call(this, type, ...rest);
    };
})()"""
"""Remembers what reacts to a click, before the page's own script runs."""
START = """() => {
    document.activeElement.blur();
    for (const at of document.querySelectorAll('[data-reached]')) delete at.dataset.reached;
    window.before = new Set(document.querySelectorAll('*'));
}"""
UNREACHED = """() => {
    const own = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
    const isThere = (at) => before.has(at) && at.isConnected && !at.disabled
        && at.checkVisibility({ visibilityProperty: true })
        && !(at.type === 'radio' && !at.checked) && at.tabIndex >= 0;
    const wanted = new Set([...document.querySelectorAll(own)].filter(isThere));
    const lost = [...wanted].filter((at) => !at.dataset.reached);
    const dead = [...clickable].filter((at) => at.isConnected && at.checkVisibility() && !at.matches(own)
        && !at.matches('.veil, dialog') && !at.closest(own));
    return [...lost, ...dead].map((at) => at.outerHTML.slice(0, 120));
}"""
FOCUSED = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return 'end';
    const again = 'reached' in at.dataset && at !== window.last; // a date has a place for each of its parts
    window.last = at;
    at.dataset.reached = '1';
    const style = getComputedStyle(at), around = getComputedStyle(at.parentElement);
    const isSeen = [style, around].some((s) => s.outlineStyle !== 'none' || s.boxShadow !== 'none')
        || ['INPUT', 'TEXTAREA', 'IFRAME'].includes(at.tagName);
    return again ? 'again' : isSeen ? '' : at.outerHTML.slice(0, 120);
}"""


def tab_through(reader: Reader) -> list[str]:
    """What Tab does not come to though it can be clicked, and where it comes to that nobody sees."""
    unseen: list[str] = []
    reader.page.evaluate(START)
    for _ in range(150):
        reader.page.keyboard.press("Tab")
        said = str(reader.page.evaluate(FOCUSED))
        if said == "again":
            break
        if said not in ("", "end"):
            unseen.append(f"not seen: {said}")
    return unseen + list[str](reader.page.evaluate(UNREACHED))


def test_tab_comes_to_everything_that_can_be_clicked_and_shows_where_it_is(reader_at: Open, server: Server) -> None:
    reader = reader_at(server.url)
    reader.page.add_init_script(LISTENING)
    found: dict[str, list[str]] = {}
    reader.open()
    found["first screen"] = tab_through(reader)
    reader.ask("rich answer please")
    reader.answered()
    reader.page.locator("[data-fold]").last.click()
    found["answered"] = tab_through(reader)
    for tab in ("models", "usage", "keys", "people", "looks"):
        reader.page.goto(f"{server.url}/settings/{tab}")
        reader.page.wait_for_selector(".card")
        for fold in reader.page.locator(".fold > summary").all()[:1]:
            fold.click()
        found[tab] = tab_through(reader)
    assert {where: wrongs for where, wrongs in found.items() if wrongs} == {}


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
