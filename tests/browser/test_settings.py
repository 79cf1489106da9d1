"""Settings, keys, usage, and the door of a server that needs a key."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Open, Reader, Server, free_port


def test_models_say_what_they_are_and_whether_they_fit(reader: Reader) -> None:
    reader.open("/settings/models")
    rows = reader.page.locator(".rows li")
    expect(rows.filter(has_text="smollm2:135m")).to_contain_text("98 MB")
    reader.page.get_by_label("Name of the model").fill("no such thing at all")
    reader.page.get_by_role("button", name="Fetch", exact=True).click()
    expect(reader.page.get_by_role("alert")).to_be_visible()


def test_a_key_is_made_shown_once_limited_and_revoked(reader: Reader) -> None:
    reader.open("/settings/keys")
    reader.page.get_by_label("What it is for").fill("a notebook")
    reader.page.get_by_role("button", name="Make a key").click()
    expect(reader.page.locator(".made code")).to_have_text(re.compile(r"\S{20,}"))
    row = reader.page.locator(".rows li").filter(has_text="a notebook")
    row.get_by_label("Tokens a month for a notebook").fill("5000")
    row.get_by_label("Tokens a month for a notebook").press("Tab")
    reader.page.reload()
    expect(reader.page.locator(".made")).to_have_count(0)
    expect(row.get_by_label("Tokens a month for a notebook")).to_have_value("5000")
    reader.watched.forgives_dialogs = True
    row.get_by_role("button", name="Revoke a notebook").click()
    expect(row).to_contain_text("revoked")


def test_usage_counts_what_was_asked(reader: Reader) -> None:
    reader.open()
    reader.ask("something to be counted")
    reader.answered()
    reader.page.goto(reader.watched.address + "/settings/usage")
    expect(reader.page.locator(".usage tbody tr").first).to_contain_text(re.compile(r"\d"))
    reader.page.get_by_label("Model", exact=True).check()
    expect(reader.page.locator(".usage tbody")).to_contain_text("scripted")


def test_the_picture_of_an_answer_opens_in_the_page(reader: Reader) -> None:
    reader.open()
    reader.ask("vote: what is 17 times 23?")
    reader.answered()
    reader.page.get_by_role("button", name="Picture of the thinking").click()
    expect(reader.page.frame_locator("dialog.wide iframe").locator("body")).to_contain_text("path", ignore_case=True)
    reader.page.keyboard.press("Escape")
    expect(reader.page.locator("dialog.wide")).to_have_count(0)


def test_the_theme_is_chosen_and_kept(reader: Reader) -> None:
    reader.open("/settings/looks")
    reader.page.get_by_label("Dark").check()
    reader.page.reload()
    reader.page.wait_for_selector(".card")
    assert reader.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_where_a_key_is_needed_the_page_asks_for_it_and_lets_go_again(reader_at: Open, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    server = Server(tmp_path / "home", free_port(), secret_file=secret)
    server.start()
    try:
        reader = reader_at(server.url)
        page = reader.page
        page.goto(server.url)
        page.get_by_label("Your key").fill("not-a-key")
        page.get_by_role("button", name="Come in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Your key").fill(secret.read_text())
        page.get_by_role("button", name="Come in").click()
        reader.ask("who is there?")
        reader.answered()
        page.reload()
        expect(page.locator(".prose").last).to_contain_text("You said: who is there?")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Your key")).to_be_visible()
    finally:
        server.stop()
