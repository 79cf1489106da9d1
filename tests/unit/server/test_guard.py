"""A web page does not reach someone's server behind their back, and a site that was allowed does."""

from __future__ import annotations

import httpx
import pytest

from bethink.server.app import Surroundings
from bethink.server.door.guard import Doors, host_name, same_place
from tests.unit.server.scripted import asked, in_process, rig

pytestmark = pytest.mark.anyio
ASK = "/v1/chat/completions"
FRIEND = "https://chat.example.com"


async def answered(
    doors: Doors | None = None, *, method: str = "POST", path: str = ASK, headers: dict[str, str], content: bytes = b""
) -> httpx.Response:
    made = rig()
    async with in_process(made, Surroundings(doors or Doors())) as client:
        response = await client.request(method, path, headers=headers, content=content or None)
    if response.status_code in (403, 415):
        assert made.engine.starts == []  # nothing was reached
    return response


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8114", "a@localhost", "", "[", "127.0.0.1, x"],
)
async def test_a_name_pointed_at_us_does_not_open_the_door(host: str) -> None:
    response = await answered(method="GET", path="/v1/models", headers={"host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "wrong_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8114", "127.0.0.1:8114", "[::1]:8114", "localhost.:1"])
async def test_our_own_names_open_it(host: str) -> None:
    assert (await answered(method="GET", path="/v1/models", headers={"host": host})).status_code == 200


async def test_a_name_that_was_allowed_opens_it_and_others_stay_closed_on_any_address() -> None:
    doors = Doors(is_loopback=False, hosts=frozenset({"llm.example.com"}))
    for host, status in (("llm.example.com:443", 200), ("127.0.0.1", 403)):
        assert (await answered(doors, method="GET", path="/v1/models", headers={"host": host})).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
async def test_a_page_of_another_site_may_not_ask(headers: dict[str, str]) -> None:
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    response = await answered(headers={"content-type": "application/json", **headers}, content=body)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "wrong_origin"
    assert "access-control-allow-origin" not in response.headers


async def test_our_own_page_may_ask() -> None:
    async with in_process(rig()) as client:
        own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
        assert (await client.post(ASK, json=asked(), headers=own)).status_code == 200
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert (await client.get("/healthz", headers=link)).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "text/plain; application/json"])
async def test_a_body_that_a_form_can_send_is_refused(kind: str) -> None:
    response = await answered(
        headers={"content-type": kind}, content=b'{"messages": [{"role": "user", "content": "hi"}]}'
    )
    assert response.status_code == 415


async def test_what_curl_says_of_its_body_is_taken_from_curl_and_from_no_browser() -> None:
    """LiteLLM's Ollama client says nothing at all."""
    body, form = b'{"messages": [{"role": "user", "content": "hi"}]}', "application/x-www-form-urlencoded"
    assert (await answered(headers={}, content=body)).status_code == 200
    assert (await answered(headers={"origin": "http://127.0.0.1"}, content=body)).status_code == 415
    assert (await answered(headers={"content-type": form}, content=body)).status_code == 200
    own = {"content-type": form, "origin": "http://127.0.0.1"}
    assert (await answered(headers=own, content=body)).status_code == 415


async def test_cors_is_closed_and_opens_for_exactly_the_sites_that_were_allowed() -> None:
    doors = Doors(origins=frozenset({FRIEND}))
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os"}
    opened = await answered(doors, method="OPTIONS", headers={"origin": FRIEND, **ask})
    assert opened.status_code == 204
    assert opened.headers["access-control-allow-origin"] == FRIEND
    assert opened.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert "access-control-allow-credentials" not in opened.headers
    closed = await answered(doors, method="OPTIONS", headers={"origin": f"{FRIEND}.evil", **ask})
    assert closed.status_code == 403
    assert not [name for name in closed.headers if name.startswith("access-control")]
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    headers = {"origin": FRIEND, "sec-fetch-site": "cross-site", "content-type": "application/json"}
    answer = await answered(doors, headers=headers, content=body)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert "origin" in answer.headers["vary"]


async def test_every_answer_says_what_browsers_may_do_with_it() -> None:
    async with in_process(rig()) as client:
        for path in ("/v1/models", "/nothing", "/healthz"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"


def test_places_are_compared_by_name_and_port() -> None:
    assert same_place("http://127.0.0.1:8114", "127.0.0.1:8114")
    assert same_place("https://a.example", "a.example")
    assert same_place("http://[::1]:8114", "[::1]:8114")
    for origin, host in (
        ("http://a.example:81", "a.example:82"),
        ("file://a.example", "a.example"),
        ("http://a.example:x", "a.example"),
        ("http://a.example", "b.example"),
        ("http://", ""),
        ("null", "null"),
    ):
        assert not same_place(origin, host)
    assert host_name("user@localhost") == ""
    assert host_name("localhost/x") == ""
