"""How soon the page is there, and under which policy its files are served."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import Open, Server, send

TRIES = 3
SLOW = {"offline": False, "latency": 20, "downloadThroughput": 1_250_000, "uploadThroughput": 1_250_000}
"""Ten megabits a second, 20 ms away."""


def test_a_first_visit_over_a_slow_line_paints_within_a_second_and_can_be_used_within_two(
    reader_at: Open, server: Server
) -> None:
    """The best of a few: what other programs do to this machine meanwhile is not the page's."""
    paints: list[float] = []
    uses: list[float] = []
    for _ in range(TRIES):
        page = reader_at(server.url).page
        session = page.context.new_cdp_session(page)
        send(session, "Network.enable")
        send(session, "Network.emulateNetworkConditions", SLOW)
        page.goto(server.url)
        expect(page.get_by_role("textbox", name="Your question")).to_be_editable()
        uses.append(page.evaluate("performance.now()"))
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    assert min(paints) < 1000
    assert min(uses) < 2000


def test_files_named_by_their_content_are_kept_and_the_page_is_asked_for_again(server: Server) -> None:
    page = httpx.get(server.url + "/c/anything", timeout=20)
    assert page.headers["cache-control"] == "no-cache"
    script = page.text.split('src="', 1)[1].split('"', 1)[0]
    asset = httpx.get(server.url + script, timeout=20)
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    plain = httpx.get(server.url + script, headers={"accept-encoding": "identity"}, timeout=20)
    assert "content-encoding" not in plain.headers
    assert plain.text == asset.text
    assert httpx.get(server.url + "/assets/..%2Findex.html", timeout=20).status_code == 404


def test_the_page_runs_its_own_files_alone_and_a_preview_has_no_network(server: Server) -> None:
    policy = httpx.get(server.url + "/", timeout=20).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    preview = httpx.get(server.url + "/preview", timeout=20).headers["content-security-policy"]
    assert "sandbox allow-scripts" in preview
    assert "default-src 'none'" in preview
    assert "allow-same-origin" not in preview
