"""Pictures of the chat page for the guide: a real model, both themes, a wide and a narrow screen.

    python docs/take_pictures.py                          # of `bethink serve`, which runs already
    python docs/take_pictures.py --only vote answered     # some of them
    python docs/take_pictures.py --key-file FILE          # of `bethink serve --require-key`: its door, people and keys

Needs Chromium. Everything is asked once; four tabs look at the same conversation while it is answered. FILE holds the
key of an administrator, whose server gets the workspaces and people that the pictures show.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WAIT_MS = 240_000
SCREENS = {"desktop": (1280, 800), "phone": (390, 800)}
SLOPE = "What is the derivative of x^2 * sin(x)? Show each step."
SHEEP = "A shirt costs 20 dollars and a hat half as much. How much do 3 hats cost?"
WORDS = "Write a Python function that tells whether a word is a palindrome, then a table of three examples."
PRIMES = "Write a Python function that gives the first n prime numbers, and explain it in two sentences."


@dataclass
class Tab:
    page: Page
    name: str

    def picture(self, what: str) -> None:
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=PICTURES / f"{what}-{self.name}.png")


@contextmanager
def four_tabs(browser: Browser, url: str) -> Generator[list[Tab]]:
    contexts = [
        (browser.new_context(viewport={"width": w, "height": h}, color_scheme=scheme), f"{screen}-{scheme}")
        for screen, (w, h) in SCREENS.items()
        for scheme in ("light", "dark")
    ]
    tabs = [Tab(context.new_page(), name) for context, name in contexts]
    for tab in tabs:
        tab.page.set_default_timeout(WAIT_MS)
        tab.page.goto(url)
        tab.page.wait_for_selector(".welcome, .login form")
    yield tabs
    for context, _ in contexts:
        context.close()


def ask(tabs: list[Tab], url: str, question: str, **knobs: str) -> None:
    """In the first tab, in a new conversation; the others follow."""
    first = tabs[0].page
    first.goto(url)
    set_knobs(first.get_by_role("group", name=re.compile("^Settings of")).first, **knobs)
    first.get_by_role("textbox", name="Your question").fill(question)
    first.get_by_role("textbox", name="Your question").press("Enter")
    first.wait_for_selector(".is-assistant, .column")
    for tab in tabs[1:]:
        tab.page.goto(first.url)
        tab.page.wait_for_selector(".is-assistant, .column")


def set_knobs(bar: Locator, *, effort: str = "auto", **numbers: str) -> None:
    bar.get_by_role("combobox", name="How hard to think").select_option(effort)
    bar.locator("summary").click()
    for label in ("Budget of the thought", "Paths at most"):
        bar.get_by_label(label).fill(numbers.get(label.split()[0].lower(), ""))
        bar.get_by_label(label).press("Tab")
    bar.page.keyboard.press("Escape")


def each(tabs: list[Tab], what: str) -> None:
    for tab in tabs:
        tab.page.wait_for_timeout(300)
        tab.picture(what)


def done(tabs: list[Tab], n: int = 1) -> None:
    for tab in tabs:
        expect(tab.page.locator(".evidence")).to_have_count(n, timeout=WAIT_MS)


def empty(tabs: list[Tab], url: str) -> None:
    for tab in tabs:
        tab.page.goto(url)
        tab.page.wait_for_selector(".welcome")
    each(tabs, "empty")


def vote(tabs: list[Tab], url: str) -> None:
    ask(tabs, url, SHEEP, paths="8", budget="400")
    tabs[0].page.wait_for_selector(".votes li:nth-child(1)")
    each(tabs, "voting")
    done(tabs)
    each(tabs, "answered-vote")


def thinking(tabs: list[Tab], url: str) -> None:
    ask(tabs, url, SLOPE, effort="low", paths="1", budget="600")
    expect(tabs[0].page.locator(".thought .prose")).to_contain_text(re.compile(r"(\w+\W+){40}"), timeout=WAIT_MS)
    each(tabs, "thinking")


def answered(tabs: list[Tab], url: str) -> None:
    ask(tabs, url, WORDS, effort="none")
    done(tabs)
    each(tabs, "answered")


def compare(tabs: list[Tab], url: str) -> None:
    ask_two(tabs, url)
    done(tabs, 2)
    each(tabs, "compare")


def settings(tabs: list[Tab], url: str) -> None:
    show_settings(tabs, url, "models", ".rows li")
    each(tabs, "settings")


SHOWN: dict[str, Callable[[list[Tab], str], None]] = {
    one.__name__: one for one in (empty, vote, thinking, answered, compare, settings)
}


def company(tabs: list[Tab], url: str, secret: str) -> None:
    """The door, and what an administrator sees behind it."""
    furnish(url, secret)
    for tab in tabs:
        tab.page.goto(url)
        expect(tab.page.get_by_label("Your password")).to_be_visible()
    each(tabs, "login")
    for tab in tabs:
        tab.page.get_by_role("button", name="With a key instead").click()
        tab.page.get_by_label("Your key").fill(secret)
        tab.page.get_by_role("button", name="Come in").click()
        tab.page.wait_for_selector(".welcome")
    ask(tabs, url, SHEEP, effort="none", paths="1")
    done(tabs)
    for name in ("people", "keys"):
        show_settings(tabs, url, name, ".rows li")
        each(tabs, name)


def furnish(url: str, secret: str) -> None:
    """Two workspaces and who belongs to them; a second time only the passwords are others."""
    with httpx.Client(base_url=url, headers={"origin": url}, timeout=60) as client:
        client.post("/api/login", json={"key": secret}).raise_for_status()
        limits = {"tokens_per_month": 2_000_000, "concurrency": 8}
        client.post("/api/workspaces", json={"name": "research", "limits": limits})
        for name, workspace in (("ann", "default"), ("bela", "research"), ("chen", "research")):
            client.post("/api/users", json={"name": name, "workspace": workspace}).raise_for_status()


def show_settings(tabs: list[Tab], url: str, name: str, what: str) -> None:
    for tab in tabs:
        tab.page.goto(f"{url}/settings/{name}")
        tab.page.wait_for_selector(what)


def ask_two(tabs: list[Tab], url: str) -> None:
    first = tabs[0].page
    first.goto(url)
    first.get_by_role("button", name="Ask two ways and compare").click()
    set_knobs(first.get_by_role("group", name="Settings of answer B"), effort="none")
    set_knobs(first.get_by_role("group", name="Settings of answer A"), effort="low", budget="700", paths="1")
    first.get_by_role("textbox", name="Your question").fill(PRIMES)
    first.get_by_role("textbox", name="Your question").press("Enter")
    first.wait_for_url("**/compare/**")
    for tab in tabs[1:]:
        tab.page.goto(first.url)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--url", default="http://127.0.0.1:8114")
    reader.add_argument("--only", nargs="+", choices=SHOWN, default=list(SHOWN))
    reader.add_argument("--key-file", type=Path, help="of a server that lets nobody in without a key")
    given = reader.parse_args()
    url, names, key_file = (
        str(given.url).rstrip("/"),
        cast("Sequence[str]", given.only),
        cast("Path | None", given.key_file),
    )
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        with four_tabs(browser, url) as tabs:
            if key_file is not None:
                company(tabs, url, key_file.read_text().split()[0])
            else:
                for name in names:
                    SHOWN[name](tabs, url)
        browser.close()


if __name__ == "__main__":
    main()
