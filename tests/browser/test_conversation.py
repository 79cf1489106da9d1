"""The main paths: ask, see it think, hurry it, branch, compare, find again, throw away."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Route, expect

from tests.browser.conftest import Open, Reader, Server


def test_a_thought_streams_against_its_budget_and_says_what_closed_it(reader: Reader) -> None:
    reader.open()
    reader.ask("slow: tell me of bridges")
    pane = reader.page.locator(".thought")
    expect(pane).to_contain_text(re.compile(r"Thinking · [\d,]+ of 4,096 tokens"))
    expect(pane.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile("of 4,096 tokens"))
    expect(pane.locator(".prose")).to_contain_text("what the")
    reader.answered()
    expect(pane).to_contain_text(re.compile(r"Thought for [\d,]+ tokens · ended by itself"))
    expect(reader.page.locator(".prose").last).to_contain_text("The slow answer is seven")
    expect(reader.page.locator(".spent")).to_contain_text(
        re.compile(r"scripted · [\d,]+ tokens · [\d.]+ s · [\d.]+ tokens/s")
    )
    expect(reader.page.locator(".verdict")).to_contain_text("Not checked")


def test_answer_now_ends_the_thought_and_the_page_says_who_ended_it(reader: Reader) -> None:
    reader.open()
    reader.ask("slow: tell me of towers")
    expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
    reader.page.get_by_role("button", name="Answer now").click()
    reader.answered()
    expect(reader.page.locator(".thought")).to_contain_text("ended by you")
    expect(reader.page.locator(".prose").last).to_contain_text("seven")


def test_stop_ends_an_answer_and_another_can_be_asked_for(reader: Reader) -> None:
    reader.open()
    reader.ask("slow: tell me of rivers")
    expect(reader.page.locator(".thought .prose")).to_contain_text("what the")
    reader.page.locator(".live").get_by_role("button", name="Stop").click()
    expect(reader.page.locator(".state")).to_contain_text("Stopped by you")
    reader.page.get_by_role("button", name="Answer again").click()
    reader.page.get_by_role("button", name="Answer now").click()
    reader.answered()
    expect(reader.page.locator(".branches").last).to_contain_text("2 / 2")


def test_paths_vote_and_each_can_be_opened(reader: Reader) -> None:
    reader.open()
    reader.page.get_by_text("More", exact=True).click()
    reader.page.get_by_label("Paths at most").fill("4")
    reader.page.get_by_label("Paths at most").press("Escape")
    reader.ask("vote: what is 17 times 23?")
    expect(reader.page.locator(".thought")).to_contain_text("Thinking along 4 paths")
    reader.answered()
    verdict = reader.page.locator(".verdict")
    expect(verdict).to_contain_text("Fairly sure")
    expect(verdict).to_contain_text("3 of 4 paths agree: 391")
    votes = reader.page.get_by_role("list", name="How the paths voted").get_by_role("listitem")
    expect(votes.nth(0)).to_contain_text("391")
    expect(votes.nth(0)).to_contain_text("3 of 4 paths")
    expect(votes.nth(1)).to_contain_text("40")
    reader.page.get_by_role("button", name="Thought along 4 paths").click()
    reader.page.get_by_role("button", name=re.compile("Path 2")).click()
    expect(reader.page.get_by_role("group", name="The thought of path 2")).to_contain_text("what the")


def test_paths_that_write_a_program_are_asked_for_where_values_are_compared(reader: Reader) -> None:
    reader.open()
    page = reader.page
    page.get_by_text("More", exact=True).click()
    programs = page.get_by_label("Paths that write a program")
    page.get_by_label("Paths at most").fill("4")
    programs.fill("2")
    programs.press("Tab")
    page.get_by_label("Check the answer").select_option("code")
    expect(programs).to_be_disabled()
    expect(page.locator(".knobs summary")).to_have_text("2 set")
    page.get_by_label("Check the answer").select_option("math")
    expect(programs).to_have_value("2")
    page.keyboard.press("Escape")
    with page.expect_request("**/ask") as asked:
        reader.ask("vote: what is 17 times 23?")
    sent: dict[str, Any] = asked.value.post_data_json or {}
    assert sent["settings"] == {"effort": "auto", "paths": 4, "programs": 2, "check": "math"}


def test_on_a_phone_the_settings_of_an_answer_are_within_the_screen(reader_at: Open, server: Server) -> None:
    reader = reader_at(server.url, width=390, height=800, is_mobile=True)
    reader.open()
    reader.page.get_by_role("button", name="Ask two ways and compare").click()
    for summary in reader.page.locator(".knobs summary").all():
        summary.click()
        box = reader.page.locator(".more[open] > .more-panel").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 800
        reader.page.keyboard.press("Escape")


def test_an_edited_question_and_an_edited_thought_are_branches(reader: Reader) -> None:
    reader.open()
    reader.ask("first words")
    reader.answered()
    message = reader.page.locator(".is-user")
    message.hover()
    message.get_by_role("button", name="Edit and ask again").click()
    message.get_by_role("textbox", name="The question").fill("second words")
    message.get_by_role("button", name="Ask").click()
    expect(reader.page.locator(".prose").last).to_contain_text("You said: second words")
    reader.answered()
    reader.page.get_by_role("button", name="Previous version").click()
    expect(reader.page.locator(".prose").last).to_contain_text("You said: first words")
    reader.page.locator("[data-fold]").click()
    reader.page.get_by_role("button", name="Edit the thought and go on").click()
    reader.page.get_by_label(re.compile("Cut it")).fill("Quite another thought.")
    reader.page.get_by_role("button", name="Go on from here").click()
    expect(reader.page.locator(".prose").last).to_contain_text("Going on from there")
    reader.page.reload()
    expect(reader.page.locator(".prose").last).to_contain_text("Going on from there")


def test_two_ways_to_answer_stand_side_by_side(reader: Reader) -> None:
    reader.open()
    reader.page.get_by_role("button", name="Ask two ways and compare").click()
    reader.page.get_by_role("group", name="Settings of answer B").get_by_role("combobox", name="Model").select_option(
        "scripted-two"
    )
    reader.ask("compare yourselves")
    reader.answered(2)
    columns = reader.page.locator(".column")
    expect(columns.nth(0)).to_contain_text("scripted")
    expect(columns.nth(1)).to_contain_text("scripted-two · no thinking")
    columns.nth(1).get_by_role("button", name="Go on with this one").click()
    expect(reader.page.locator(".branches").last).to_contain_text("2 / 2")


def test_markdown_code_and_formulas_are_drawn_and_a_preview_reaches_nothing(reader: Reader) -> None:
    reader.open()
    reader.ask("rich answer please")
    reader.answered()
    prose = reader.page.locator(".prose").last
    expect(prose.locator(".katex").first).to_be_visible()
    expect(prose.locator("td.right").first).to_have_text("3")
    expect(prose.locator(".hljs-keyword").first).to_have_text("def")
    prose.get_by_role("button", name="Preview").click()
    frame = reader.page.frame_locator("iframe")
    frame.get_by_role("button", name="press").click()
    expect(frame.get_by_role("button", name="ran")).to_be_visible()
    inside = next(one for one in reader.page.frames if one.url.endswith("/preview"))
    said = inside.evaluate("fetch('/api/me').then(() => 'reached', () => 'nothing')")
    assert said == "nothing"
    assert inside.evaluate("try { parent.document.title } catch { 'apart' }") == "apart"
    assert inside.evaluate("typeof RTCPeerConnection") == "undefined"


def test_conversations_are_found_renamed_exported_and_deleted_with_time_to_undo(
    reader: Reader, server: Server, tmp_path: Path
) -> None:
    reader.open()
    reader.ask("an albatross over the sea")
    reader.answered()
    title = reader.page.locator(".head-title button")
    title.click()
    field = reader.page.get_by_role("textbox", name="Title of the conversation")
    field.fill("Seabirds of note")
    field.press("Enter")
    side = reader.page.get_by_role("navigation", name="Conversations")
    expect(side.get_by_role("link", name="Seabirds of note")).to_be_visible()
    reader.page.get_by_role("searchbox", name="Search conversations").fill("albatross")
    expect(side.locator(".item")).to_have_count(1)
    reader.page.get_by_label("Export this conversation").click()
    with reader.page.expect_download() as told:
        reader.page.get_by_role("link", name="As JSON").click()
    told.value.save_as(tmp_path / "export.json")
    assert "albatross" in json.dumps(json.loads((tmp_path / "export.json").read_text()))
    reader.page.goto(server.url + "/settings/looks")
    reader.page.get_by_label("Choose a file").set_input_files(tmp_path / "export.json")
    expect(reader.page.locator(".prose").last).to_contain_text("You said: an albatross over the sea")
    reader.page.locator(".head").get_by_role("button", name="Delete this conversation").click()
    side.get_by_role("link", name="Seabirds of note").click()
    reader.page.get_by_role("searchbox", name="Search conversations").fill("albatross")
    expect(side.locator(".item")).to_have_count(1)
    reader.page.locator(".head").get_by_role("button", name="Delete this conversation").click()
    expect(side.locator(".item")).to_have_count(0)
    reader.page.get_by_role("button", name="Undo").last.click()
    expect(side.locator(".item")).to_have_count(1)
    side.locator(".item").hover()
    side.get_by_role("button", name="Delete Seabirds of note").click()
    reader.page.goto("about:blank")
    end = time.monotonic() + 10
    while httpx.get(server.url + "/api/conversations", params={"query": "albatross"}, timeout=20).json()[
        "conversations"
    ]:
        assert time.monotonic() < end, "what was deleted before the page was left is still there"
        time.sleep(0.05)


def test_a_conversation_that_opens_does_not_take_the_keyboard_from_the_search(reader: Reader, server: Server) -> None:
    server.new_conversation("Opened slowly")
    reader.open()
    found: list[Route] = []

    def hold(route: Route) -> None:
        found.append(route)

    reader.page.route(re.compile("/api/conversations/[^/?]+$"), hold)
    reader.page.get_by_role("link", name="Opened slowly").click()
    search = reader.page.get_by_role("searchbox", name="Search conversations")
    search.press_sequentially("slow")
    found[0].continue_()
    expect(reader.page.get_by_role("heading", name="Opened slowly")).to_be_visible()
    reader.page.keyboard.insert_text("ly")
    expect(search).to_have_value("slowly")


def test_escape_leaves_the_title_as_it_was_and_enter_saves_it_once(reader: Reader, server: Server) -> None:
    server.new_conversation("As it was")
    reader.open()
    reader.page.get_by_role("link", name="As it was").click()
    sent: list[str] = []
    reader.page.on("request", lambda request: sent.append(request.url) if request.method == "PATCH" else None)
    field = reader.page.get_by_role("textbox", name="Title of the conversation")
    for name, key in [("Thrown away", "Escape"), ("As it is", "Enter")]:
        reader.page.locator(".head-title button").click()
        field.fill(name)
        field.press(key)
    expect(reader.page.get_by_role("link", name="As it is")).to_be_visible()
    assert len(sent) == 1


def test_a_file_is_read_into_the_question_and_what_was_cut_is_said(reader: Reader, tmp_path: Path) -> None:
    small, large = tmp_path / "notes.csv", tmp_path / "long.txt"
    small.write_text("bird,size\nwren,9\n")
    large.write_text("A line that says nothing in particular.\n" * 40_000)
    reader.open()
    reader.page.locator("#files").set_input_files([small, large])
    chips = reader.page.locator(".composer .files li")
    expect(chips).to_have_count(2)
    expect(chips.nth(0)).to_contain_text("notes.csv")
    expect(chips.nth(0)).to_contain_text(re.compile(r"\d+ characters"))
    expect(chips.nth(1).locator(".file-cut")).not_to_be_empty()
    chips.nth(1).get_by_role("button", name="Remove long.txt").click()
    reader.ask("how large is a wren?")
    reader.answered()
    expect(reader.page.locator(".bubble")).to_contain_text("notes.csv")


def test_what_was_asked_stays_after_a_reload_and_another_tab_sees_it(reader: Reader) -> None:
    reader.open()
    reader.ask("something to keep")
    reader.answered()
    reader.page.get_by_role("textbox", name="Your question").fill("not sent yet")
    reader.page.reload()
    expect(reader.page.locator(".prose").last).to_contain_text("You said: something to keep")
    expect(reader.page.get_by_role("textbox", name="Your question")).to_have_value("not sent yet")


def test_a_conversation_that_is_not_there_says_so(reader: Reader) -> None:
    reader.open("/c/no-such-conversation")
    expect(reader.page.get_by_role("heading", name="This conversation is not here.")).to_be_visible()


def test_an_answer_that_is_only_a_formula_is_drawn_as_one(reader: Reader, server: Server) -> None:
    conversation = server.new_conversation("A value")
    server.fill(conversation, ["What is it?", r"\frac{3}{4} x", "And then?", r"Use \frac for that."])
    reader.open(f"/c/{conversation}")
    expect(reader.page.locator(".is-assistant").nth(0).locator(".katex").first).to_be_visible()
    expect(reader.page.locator(".is-assistant").nth(1).locator(".katex")).to_have_count(0)
