"""Settings, keys, usage, and the door of a server that needs a key."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.company import come_in, come_in_with_key, let_in
from tests.browser.conftest import Open, Reader, Server


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
    row.get_by_label("Change a notebook").click()
    row.get_by_label("Tokens a month").fill("5000")
    row.get_by_label(re.compile("Models")).fill("scripted, qwen3:*")
    row.get_by_label(re.compile("Last day")).fill("2099-01-31")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("0 of 5,000 tokens this month")
    reader.page.reload()
    expect(reader.page.locator(".made")).to_have_count(0)
    expect(row).to_contain_text("only scripted, qwen3:*")
    expect(row).to_contain_text("until Jan 31, 2099")
    row.get_by_label("Change a notebook").click()
    expect(row.get_by_label(re.compile("Last day"))).to_have_value("2099-01-31")
    row.get_by_label("Tokens a month").fill("")
    row.get_by_label("Requests at once").fill("3")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("3 at once")
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


def test_where_a_key_is_needed_the_page_asks_for_it_and_lets_go_again(reader_at: Open, company: Server) -> None:
    reader = reader_at(company.url)
    page = reader.page
    page.goto(company.url)
    page.get_by_label("Your key").fill("not-a-key")
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    come_in_with_key(page, company)
    reader.ask("who is there?")
    reader.answered()
    page.reload()
    expect(page.locator(".prose").last).to_contain_text("You said: who is there?")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Your key")).to_be_visible()


def test_an_administrator_lets_somebody_in_who_changes_their_password(reader_at: Open, company: Server) -> None:
    ada, ann, elsewhere = (reader_at(company.url) for _ in range(3))
    come_in_with_key(ada.page, company)
    first = let_in(ada.page, company, "ann")
    expect(ada.page.get_by_role("list", name="People of default")).to_contain_text("a password")
    come_in(ann.page, company, "ann", "a wrong password")
    expect(ann.page.get_by_role("alert")).to_contain_text("do not go together")
    for reader in (ann, elsewhere):
        come_in(reader.page, company, "ann", first)
        expect(reader.page.locator("#question")).to_be_visible()
    ann.page.goto(company.url + "/settings/looks")
    fields = [ann.page.get_by_label(label, exact=True) for label in ("The old one", "The new one", "The new one again")]
    for field, text in zip(fields, (first, "correct horse battery", "correct hoarse battery"), strict=True):
        field.fill(text)
    ann.page.get_by_role("button", name="Change it").click()
    expect(ann.page.locator("#password-wrong")).to_contain_text("not the same")
    fields[0].fill("not the old one")
    fields[2].fill("correct horse battery")
    ann.page.get_by_role("button", name="Change it").click()
    expect(ann.page.locator(".notices")).to_contain_text("another one")
    fields[0].fill(first)
    ann.page.get_by_role("button", name="Change it").click()
    expect(ann.page.locator(".notices")).to_contain_text("is changed")
    elsewhere.page.reload()
    expect(elsewhere.page.get_by_label("Your name")).to_be_visible()
    come_in(elsewhere.page, company, "ann", "correct horse battery")
    expect(elsewhere.page.locator("#question")).to_be_visible()


def test_what_is_an_administrators_is_not_shown_to_others(reader_at: Open, company: Server) -> None:
    ada, ann = reader_at(company.url), reader_at(company.url)
    come_in_with_key(ada.page, company)
    come_in(ann.page, company, "ann", let_in(ada.page, company, "ann"))
    ann.page.get_by_role("link", name="Settings").click()
    tabs = ann.page.get_by_role("navigation", name="Settings")
    expect(tabs.get_by_role("link")).to_have_text(["Models", "Usage", "This page"])
    for path in ("people", "keys"):
        ann.page.goto(f"{company.url}/settings/{path}")
        expect(ann.page.locator(".card")).to_contain_text("administrator")
        expect(ann.page.locator(".card")).to_have_count(1)
    refused = ann.page.evaluate(
        "Promise.all(['/api/workspaces', '/api/keys'].map(path => fetch(path).then(said => said.status)))"
    )
    assert refused == [403, 403]


def test_a_workspace_is_made_limited_and_its_use_is_seen(reader_at: Open, company: Server) -> None:
    ada = reader_at(company.url)
    page = ada.page
    come_in_with_key(page, company)
    ada.ask("something to be counted")
    ada.answered()
    page.goto(company.url + "/settings/people")
    page.get_by_label("Name of the workspace").fill("research")
    page.get_by_role("button", name="Make it").click()
    space = page.locator(".card").filter(has=page.get_by_role("heading", name="research"))
    space.get_by_label("Change the workspace research").click()
    space.get_by_label("Tokens a month").fill("9000")
    space.get_by_role("button", name="Save").click()
    expect(space).to_contain_text("0 of 9,000 tokens this month")
    default = page.locator(".card").filter(has=page.get_by_role("heading", name="default"))
    expect(default.locator(".month")).to_contain_text(re.compile(r"[1-9][\d,]* tokens this month"))
    page.reload()
    expect(space).to_contain_text("9,000")
    ada.watched.forgives_dialogs = True
    let_in(page, company, "ann")
    page.get_by_role("button", name="Take away the password of ann").click()
    expect(page.get_by_role("list", name="People of default")).to_contain_text("locked out")


def test_usage_can_be_of_one_model_alone(reader: Reader) -> None:
    reader.open()
    for model in ("scripted", "scripted-two"):
        reader.page.get_by_label("Model", exact=True).select_option(model)
        reader.ask("something to be counted")
        expect(reader.page.locator(".evidence")).to_have_count(1 if model == "scripted" else 2)
    reader.page.goto(reader.watched.address + "/settings/usage")
    reader.page.get_by_label("Model", exact=True).check()
    expect(reader.page.locator(".usage tbody tr")).to_have_count(2)
    reader.page.get_by_label("Model that is counted").select_option("scripted-two")
    expect(reader.page.locator(".usage tbody tr")).to_have_count(1)
    expect(reader.page.locator(".usage tbody")).to_contain_text("scripted-two")
