"""What people do on the page of a server that lets nobody in without a key."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server


def come_in_with_key(page: Page, company: Server) -> None:
    page.goto(company.url)
    page.get_by_label("Your key").fill((company.secret_file or Path()).read_text())
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("#question")).to_be_visible()


def come_in(page: Page, company: Server, name: str, password: str) -> None:
    page.goto(company.url)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your password").fill(password)
    page.get_by_role("button", name="Come in").click()


def let_in(page: Page, company: Server, name: str) -> str:
    """By an administrator, on the page; the password that was made."""
    page.goto(company.url + "/settings/people")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Let them in").click()
    expect(page.locator(".made")).to_contain_text(name)
    return page.locator(".made code").inner_text()
