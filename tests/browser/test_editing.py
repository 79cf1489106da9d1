"""An answer that the reader changes: a branch that says whose words it holds, and what is being written is not lost."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open, Reader, Server


def begin(page: Page, which: int = -1) -> None:
    page.get_by_role("button", name="Edit the answer").nth(which).click()
    expect(page.get_by_role("textbox", name="The answer")).to_be_focused()


def save(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="The answer").fill(text)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="The answer")).to_have_count(0)


def test_an_edited_answer_is_a_branch_that_says_whose_it_is_and_is_gone_on_from(reader: Reader) -> None:
    page = reader.page
    reader.open()
    reader.ask("first words")
    reader.answered()
    begin(page)
    expect(page.get_by_role("textbox", name="The answer")).to_have_value("You said: first words")
    save(page, "Rather **these** words")
    message = page.get_by_role("article", name="The model, edited by you")
    expect(message.locator(".prose strong")).to_have_text("these")
    expect(message.locator(".by-hand")).to_contain_text("Edited by you")
    expect(message.locator(".evidence, .verdict, .spent, .thought")).to_have_count(0)
    expect(message.get_by_role("button", name="Picture of the thinking")).to_have_count(0)
    expect(page.locator(".branches").last).to_contain_text("2 / 2")
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".prose").last).to_contain_text("You said: first words")
    expect(page.locator(".verdict")).to_contain_text("Not checked")
    expect(page.locator(".by-hand")).to_have_count(0)
    page.get_by_role("button", name="Next version").click()
    edited = message.get_attribute("data-node")
    with page.expect_request("**/ask") as asked:
        reader.ask("second words")
    sent: dict[str, Any] = asked.value.post_data_json or {}
    assert sent["parent"] == edited
    reader.answered()
    page.reload()
    expect(message.locator(".prose")).to_contain_text("Rather these words")
    expect(page.locator(".prose").last).to_contain_text("You said: second words")
    page.get_by_role("button", name=re.compile("side by side")).first.click()
    expect(page.locator(".column")).to_have_count(2)
    expect(page.locator(".column").nth(1).locator("header")).to_contain_text("Edited by you")


def test_an_answer_is_edited_by_keyboard_alone_and_escape_takes_nothing_for_good(reader: Reader) -> None:
    page, press = reader.page, reader.page.keyboard.press
    reader.open()
    reader.ask("by keyboard")
    reader.answered()
    page.locator("body").evaluate("document.activeElement.blur()")
    press("k")
    expect(page.locator(".is-assistant")).to_be_focused()
    for _ in range(3):  # the thought, the copy
        press("Tab")
    expect(page.get_by_role("button", name="Edit the answer")).to_be_focused()
    press("Enter")
    area = page.get_by_role("textbox", name="The answer")
    expect(area).to_be_focused()
    press("Control+a")
    page.keyboard.type("thrown away")
    press("Escape")
    expect(area).to_have_count(0)
    expect(page.get_by_role("button", name="Edit the answer")).to_be_focused()
    expect(page.locator(".prose").last).to_contain_text("You said: by keyboard")
    page.get_by_role("button", name="Undo").click()
    expect(area).to_have_value("thrown away")
    expect(area).to_be_focused()
    press("Control+Enter")
    expect(page.locator(".is-assistant")).to_be_focused()
    expect(page.locator(".is-assistant .prose")).to_have_text("thrown away")


def test_nothing_is_sent_where_nothing_was_changed_or_nothing_is_left(reader: Reader) -> None:
    page = reader.page
    reader.open()
    reader.ask("left alone")
    reader.answered()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/edit") else None)
    begin(page)
    save(page, "You said: left alone")
    begin(page)
    page.get_by_role("textbox", name="The answer").fill(" \n")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".prose").last).to_have_text("You said: left alone")
    expect(page.locator(".branches")).to_have_count(0)
    assert sent == []


def test_what_is_being_written_survives_a_reload_another_branch_and_a_server_that_is_away(reader: Reader) -> None:
    page = reader.page
    reader.open()
    reader.ask("to be kept")
    reader.answered()
    begin(page)
    save(page, "second version")
    begin(page)
    area = page.get_by_role("textbox", name="The answer")
    area.fill("third version")
    page.reload()
    expect(area).to_have_value("third version")
    page.route("**/edit", lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    expect(area).to_have_value("third version")
    page.unroute("**/edit")
    save(page, "fourth version")
    expect(page.locator(".branches").last).to_contain_text("3 / 3")
    page.reload()
    expect(page.locator(".prose").last).to_have_text("fourth version")


def test_a_draft_is_there_after_a_look_at_another_version(reader: Reader) -> None:
    page = reader.page
    reader.open()
    reader.ask("question one")
    reader.answered()
    page.get_by_role("button", name="Edit and ask again").click(force=True)
    page.get_by_role("textbox", name="The question").fill("question two")
    page.get_by_role("button", name="Ask", exact=True).first.click()
    expect(page.locator(".prose").last).to_contain_text("question two")
    reader.answered()
    begin(page)
    page.get_by_role("textbox", name="The answer").fill("half a thought")
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".prose").last).to_contain_text("question one")
    page.get_by_role("button", name="Next version").click()
    expect(page.get_by_role("textbox", name="The answer")).to_have_value("half a thought")


def test_an_earlier_answer_is_edited_while_the_newest_is_on_its_way(reader: Reader) -> None:
    page = reader.page
    reader.open()
    reader.ask("quick one")
    reader.answered()
    reader.ask("slow: tell me of bridges")
    expect(page.locator(".thought .prose")).to_contain_text("what the")
    expect(page.get_by_role("button", name="Edit the answer")).to_have_count(1)
    begin(page, 0)
    save(page, "edited meanwhile")
    expect(page.locator(".message")).to_have_count(2)
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".prose").last).to_contain_text("The slow answer is seven")
    expect(page.get_by_role("button", name="Edit the answer")).to_have_count(2)


def test_on_a_phone_the_box_and_its_buttons_are_within_the_screen(reader_at: Open, server: Server) -> None:
    reader = reader_at(server.url, width=390, height=800, is_mobile=True)
    page = reader.page
    reader.open()
    reader.ask("rich answer please")
    reader.answered()
    begin(page)
    top = page.get_by_role("textbox", name="The answer").bounding_box()
    bottom = page.get_by_role("button", name="Save").bounding_box()
    dock = page.locator(".dock").bounding_box()
    assert top is not None
    assert bottom is not None
    assert dock is not None
    assert top["y"] >= 0
    assert bottom["y"] + bottom["height"] <= dock["y"]


def test_what_shrinks_to_the_screen_has_no_button_that_leads_to_its_end(reader: Reader, server: Server) -> None:
    page = reader.page
    conversation = server.new_conversation("Long")
    server.fill(conversation, ["What is it?", "A line of it.\n\n" * 80])
    reader.open(f"/c/{conversation}")
    expect(page.get_by_text("A line of it.").last).to_be_in_viewport()
    page.locator(".scroll").evaluate("box => { box.scrollTop = 0 }")
    newest = page.get_by_role("button", name="Newest")
    expect(newest).to_be_visible()
    page.get_by_role("button", name="Edit the answer").evaluate("button => button.click()")
    expect(page.get_by_role("textbox", name="The answer")).to_be_in_viewport()
    expect(newest).to_have_count(0)


def test_two_tabs_that_edit_the_same_answer_lose_neither_text(reader_at: Open, server: Server) -> None:
    one, two = reader_at(server.url), reader_at(server.url)
    conversation = server.new_conversation("Edited twice")
    server.fill(conversation, ["What is it?", "The model's own words"])
    for tab, said in ((one, "from the first tab"), (two, "from the second tab")):
        tab.open(f"/c/{conversation}")
        begin(tab.page)
        tab.page.get_by_role("textbox", name="The answer").fill(said)
    for tab in (one, two):
        tab.page.get_by_role("button", name="Save").click()
        expect(tab.page.locator(".by-hand")).to_be_visible()
    one.page.reload()
    expect(one.page.locator(".prose").last).to_have_text("from the second tab")
    expect(one.page.locator(".branches").last).to_contain_text("3 / 3")
    one.page.get_by_role("button", name="Previous version").click()
    expect(one.page.locator(".prose").last).to_have_text("from the first tab")


def test_a_second_press_while_the_first_is_on_its_way_sends_nothing_more(reader: Reader, server: Server) -> None:
    page = reader.page
    conversation = server.new_conversation("Pressed twice")
    server.fill(conversation, ["What is it?", "The model's own words"])
    reader.open(f"/c/{conversation}")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/edit", hold)
    begin(page)
    page.get_by_role("textbox", name="The answer").fill("mine")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    held[0].continue_()
    expect(page.locator(".by-hand")).to_be_visible()
    assert len(held) == 1
    expect(page.locator(".branches").last).to_contain_text("2 / 2")


def test_a_text_that_is_too_long_is_refused_in_words_and_stays_in_its_box(reader: Reader, server: Server) -> None:
    page = reader.page
    conversation = server.new_conversation("Too long")
    server.fill(conversation, ["What is it?", "The model's own words"])
    reader.open(f"/c/{conversation}")
    begin(page)
    area = page.get_by_role("textbox", name="The answer")
    area.fill("x" * 1_000_001)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("the answer has 1,000,001 characters; 1,000,000 are the most")).to_be_visible()
    assert area.evaluate("area => area.value.length") == 1_000_001
    expect(page.locator(".branches")).to_have_count(0)
