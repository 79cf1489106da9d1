"""Who may see what: logins, and what one person has against another's curiosity."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bethink.config import Settings
from bethink.server.accounts import Accounts
from bethink.server.accounts.values import DEFAULT_WORKSPACE
from bethink.server.app import Surroundings, create_app
from bethink.server.door.keys import Keys
from bethink.server.page.page import Page
from bethink.server.running.admission import Admission
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from tests.unit.server.conversations.conftest import Client, make_model, until

pytestmark = pytest.mark.anyio


@dataclass
class Company:
    """A server that needs keys, and two of them."""

    page: Page
    accounts: Accounts
    transport: httpx.ASGITransport
    keys: dict[str, str]
    ids: dict[str, str]

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, base_url="http://127.0.0.1")

    async def logged_in(self, who: str) -> Client:
        http = self.browser()
        response = await http.post("/api/login", json={"key": self.keys[who]})
        assert response.status_code == 200, response.text
        return Client(http, self.page)


def keep_what_is_written(accounts: Accounts, logs_content: bool) -> None:
    accounts.directory.change_workspace(DEFAULT_WORKSPACE, logs_content=logs_content)
    accounts.refresh()


@pytest.fixture
async def company(tmp_path: Path) -> AsyncGenerator[Company]:
    with Accounts.open(None, tmp_path, refresh_s=0.05) as accounts:
        keys, ids = dict[str, str](), dict[str, str]()
        for name, scope in (("ada", "admin"), ("bob", "inference")):
            made = accounts.directory.create_key(name, scopes=frozenset({scope}))  # pyright: ignore[reportArgumentType]  # of two scopes
            keys[name], ids[name] = made.secret, made.key.id
        keep_what_is_written(accounts, True)
        model = make_model()
        model.traces = tmp_path / "traces"
        pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
        service = Service(pool, Admission(accounts))
        page = Page.of(service, accounts.engine, Settings(tmp_path))
        app = create_app(service, Surroundings(keys=Keys(accounts, True, page.sessions)), page)
        async with app.router.lifespan_context(app):
            yield Company(page, accounts, httpx.ASGITransport(app), keys, ids)


async def test_nothing_is_answered_to_whoever_is_not_logged_in(company: Company) -> None:
    async with company.browser() as http:
        for path in ("/api/me", "/api/conversations", "/api/models", "/api/nodes/n/events", "/api/traces/t"):
            response = await http.get(path)
            assert (path, response.status_code) == (path, 401)
            assert set(response.json()["error"]) == {"code", "message", "hint"}
        assert (await http.post("/api/login", json={"key": "bt-wrong"})).status_code == 401


async def test_a_login_is_a_cookie_that_no_script_reads_and_no_other_site_sends(company: Company) -> None:
    async with company.browser() as http:
        response = await http.post("/api/login", json={"key": company.keys["ada"]})
        cookie = response.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=604800"))
        assert company.keys["ada"] not in cookie
        me = (await http.get("/api/me")).json()
        assert (me["user"], me["is_admin"], me["is_local"]) == ("ada", True, False)
        await http.post("/api/logout")
        assert (await http.get("/api/me")).status_code == 401


async def test_a_session_that_was_copied_ends_with_the_logout(company: Company) -> None:
    async with company.browser() as http, company.browser() as thief:
        await http.post("/api/login", json={"key": company.keys["ada"]})
        thief.cookies = httpx.Cookies(http.cookies)
        assert (await thief.get("/api/me")).status_code == 200
        await http.post("/api/logout")
        assert (await thief.get("/api/me")).status_code == 401


async def test_a_revoked_key_ends_its_sessions(company: Company) -> None:
    client = await company.logged_in("bob")
    company.accounts.directory.revoke_key(company.ids["bob"])
    assert (await client.http.get("/api/me")).status_code == 401


async def test_what_is_thought_leaves_no_trace_where_the_workspace_keeps_nothing(
    company: Company, tmp_path: Path
) -> None:
    keep_what_is_written(company.accounts, False)
    bob = await company.logged_in("bob")
    await bob.answer(await bob.new(), "What is 2 + 2?", paths=1)
    assert not list((tmp_path / "traces").glob("*"))


async def test_nobody_sees_changes_or_follows_what_another_has(company: Company) -> None:
    ada, bob = await company.logged_in("ada"), await company.logged_in("bob")
    conversation = await bob.new()
    node = await bob.answer(conversation, "What is 2 + 2?", paths=1)
    trace = node["result"]["trace_id"]
    file = await bob.http.post("/api/files", files={"file": ("a.txt", b"secret")})
    assert (await bob.http.get(f"/api/traces/{trace}/page")).status_code == 200
    one, again = f"/api/conversations/{conversation}", f"/api/conversations/{conversation}/nodes/{node['id']}/again"
    refused = [
        await ada.http.get(one),
        await ada.http.get(f"{one}/export"),
        await ada.http.patch(one, json={"title": "mine"}),
        await ada.http.delete(one),
        await ada.http.post(f"{one}/ask", json={"content": "x"}),
        await ada.http.post(again, json={}),
        await ada.http.get(f"/api/nodes/{node['id']}/events"),
        await ada.http.post(f"/api/nodes/{node['id']}/stop"),
        await ada.http.get(f"/api/traces/{trace}"),
        await ada.http.get("/api/conversations", params={"before": conversation}),
    ]
    assert [response.status_code for response in refused] == [404] * len(refused)
    own = await ada.new()
    stolen = await ada.http.post(f"/api/conversations/{own}/ask", json={"content": "x", "files": [file.json()["id"]]})
    assert stolen.status_code == 400
    assert (await ada.get("/api/conversations", query="2 + 2"))["conversations"] == []


async def test_only_an_administrator_fetches_and_removes_models(company: Company) -> None:
    bob = await company.logged_in("bob")
    refused = [
        await bob.http.post("/api/models/pull", json={"name": "smollm2:135m"}),
        await bob.http.delete("/api/models/scripted"),
    ]
    assert [response.status_code for response in refused] == [403, 403]


async def test_an_answer_is_a_line_in_the_ledger_of_whoever_asked(company: Company) -> None:
    bob = await company.logged_in("bob")
    node = await bob.answer(await bob.new(), "What is 2 + 2?", paths=1)
    with contextlib.suppress(TimeoutError):
        await until(lambda: bool(list(company.accounts.rows())))
    (row,) = list(company.accounts.rows())
    assert (row.request_id, row.dialect, row.status) == (node["id"], "page", "ok")
    assert row.thinking_tokens == node["result"]["usage"]["thinking_tokens"]


async def test_a_deleted_conversation_takes_its_traces_with_it(company: Company, tmp_path: Path) -> None:
    bob = await company.logged_in("bob")
    conversation = await bob.new()
    await bob.answer(conversation, "What is 2 + 2?", paths=1)
    assert len(list((tmp_path / "traces").iterdir())) == 1
    await bob.http.delete(f"/api/conversations/{conversation}")
    assert list((tmp_path / "traces").iterdir()) == []


async def test_the_picture_of_a_trace_may_run_and_reach_nothing(company: Company) -> None:
    bob = await company.logged_in("bob")
    node = await bob.answer(await bob.new(), "<script>alert(1)</script> What is 2 + 2?", paths=1)
    response = await bob.http.get(f"/api/traces/{node['result']['trace_id']}/page")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "<script" not in response.text
    assert "It is 4." in response.text
    assert (await bob.http.get("/api/traces/..%2f..%2faccounts")).status_code == 404


async def test_an_administrator_makes_changes_and_ends_keys(company: Company) -> None:
    ada = await company.logged_in("ada")
    body = {"name": "cara", "user": "cara", "limits": {"concurrency": 2}, "expires": "2099-01-01T00:00:00Z"}
    made = await ada.post("/api/keys", body)
    changed = await ada.http.patch(f"/api/keys/{made['key']['id']}", json={"tokens_per_month": 1000})
    company.keys["cara"] = made["secret"]
    cara = await company.logged_in("cara")
    assert (await cara.get("/api/me"))["user"] == "cara"
    assert changed.json()["key"]["limits"]["tokens_per_month"] == 1000
    assert (await ada.http.delete(f"/api/keys/{made['key']['id']}")).json()["key"]["state"] == "revoked"
    assert (await cara.http.get("/api/me")).status_code == 401
    listed = (await ada.get("/api/keys"))["keys"]
    assert {key["name"]: key["state"] for key in listed} == {"ada": "active", "bob": "active", "cara": "revoked"}
    assert made["secret"] not in str(listed)


async def test_usage_is_ones_own_unless_one_administers(company: Company) -> None:
    ada, bob = await company.logged_in("ada"), await company.logged_in("bob")
    for client in (ada, bob, bob):
        await client.answer(await client.new(), "What is 2 + 2?", paths=1)
    await until(lambda: len(list(company.accounts.rows())) == 3)
    by_key = (await ada.get("/api/usage", by="key"))["rows"]
    own = (await bob.get("/api/usage", by="key"))["rows"]
    assert {row["name"]: row["n_requests"] for row in by_key} == {"ada": 1, "bob": 2}
    assert {row["name"]: row["n_requests"] for row in own} == {"bob": 2}
    assert own[0]["total_tokens"] > own[0]["thinking_tokens"] > 0
    assert (await bob.get("/api/usage", since="2099-01-01"))["rows"] == []


async def test_ones_usage_is_that_of_all_ones_keys_and_of_nobody_elses(company: Company) -> None:
    directory = company.accounts.directory
    for name, user in (("carl-laptop", "carl"), ("carl-phone", "carl"), ("dora", "dora")):
        company.keys[name] = directory.create_key(name, user=user).secret
    company.accounts.refresh()
    for name in ("carl-laptop", "carl-phone", "dora", "bob"):
        client = await company.logged_in(name)
        await client.answer(await client.new(), "What is 2 + 2?", paths=1)
    await until(lambda: len(list(company.accounts.rows())) == 4)
    listed = directory.keys()
    (phone,) = [key for key in listed if key.name == "carl-phone"]
    directory.revoke_key(phone.id)
    seen = dict[str, dict[str, int]]()
    for name in ("carl-laptop", "dora", "bob"):
        rows = (await (await company.logged_in(name)).get("/api/usage", by="key"))["rows"]
        seen[name] = {row["name"]: row["n_requests"] for row in rows}
    assert seen == {"carl-laptop": {"carl-laptop": 1, "carl-phone": 1}, "dora": {"dora": 1}, "bob": {"bob": 1}}


async def test_keys_are_no_business_of_others_and_nonsense_is_refused(company: Company) -> None:
    ada, bob = await company.logged_in("ada"), await company.logged_in("bob")
    refused = [
        await bob.http.get("/api/keys"),
        await bob.http.post("/api/keys", json={"name": "mine", "scopes": ["admin"]}),
        await bob.http.delete(f"/api/keys/{company.ids['ada']}"),
        await ada.http.post("/api/keys", json={"name": "x", "scopes": []}),
        await ada.http.post("/api/keys", json={"name": "bob"}),
        await ada.http.delete("/api/keys/nope"),
        await ada.http.get("/api/usage", params={"by": "request"}),
        await ada.http.get("/api/usage", params={"since": "yesterday"}),
    ]
    assert [response.status_code for response in refused] == [403, 403, 403, 400, 409, 404, 400, 400]


async def test_whoever_may_not_ask_a_model_asks_it_again_as_little(company: Company) -> None:
    company.keys["wide"] = company.accounts.directory.create_key("wide", user="eve").secret
    company.keys["narrow"] = company.accounts.directory.create_key("narrow", user="eve", models=("other",)).secret
    wide, narrow = await company.logged_in("wide"), await company.logged_in("narrow")
    conversation = await wide.new()
    node = await wide.answer(conversation, "What is 2 + 2?", paths=1, model="scripted")
    company.page.service.pool.default = "other"
    company.page.service.pool.known = lambda: ("scripted", "other")
    again = f"/api/conversations/{conversation}/nodes/{node['id']}/again"
    refused = await narrow.http.post(again, json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    found = await wide.get(f"/api/conversations/{conversation}")
    assert len(found["nodes"]) == 2


async def test_on_ones_own_machine_an_answer_opens_as_a_picture(tmp_path: Path) -> None:
    with Accounts.open(None, tmp_path) as accounts:
        model = make_model()
        model.traces = tmp_path / "traces"
        pool = Pool(load=lambda _: model, known=lambda: ("scripted",), default="scripted")
        service = Service(pool, Admission(accounts))
        page = Page.of(service, accounts.engine, Settings(tmp_path))
        app = create_app(service, Surroundings(keys=Keys(accounts, False, page.sessions)), page)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
        ):
            client = Client(http, page)
            await client.answer(await client.new(), "What is 2 + 2?", paths=1)
        assert len(list((tmp_path / "traces").glob("*"))) == 1


async def test_a_key_hears_only_of_models_that_it_may_use(company: Company) -> None:
    company.keys["narrow"] = company.accounts.directory.create_key("narrow", models=("smollm2:*",)).secret
    narrow, bob = await company.logged_in("narrow"), await company.logged_in("bob")
    listed = [model["name"] for model in (await narrow.get("/api/models"))["models"]]
    assert listed
    assert all(name.startswith("smollm2:") for name in listed)
    assert len((await bob.get("/api/models"))["models"]) > len(listed)
    me = await narrow.get("/api/me")
    assert (me["default_model"], me["models"]) == ("", [])
    assert (await bob.get("/api/me"))["default_model"] == "scripted"


async def test_a_key_that_may_not_ask_asks_nothing_on_the_page(company: Company) -> None:
    directory = company.accounts.directory
    company.keys["asks"] = directory.create_key("asks", user="eve").secret
    company.keys["batches"] = directory.create_key("batches", user="eve", scopes=frozenset({"batches"})).secret
    asks, batches = await company.logged_in("asks"), await company.logged_in("batches")
    conversation = await asks.new()
    node = await asks.answer(conversation, "What is 2 + 2?", paths=1)
    one = f"/api/conversations/{conversation}"
    for path, body in ((f"{one}/ask", {"content": "x"}), (f"{one}/nodes/{node['id']}/again", {})):
        refused = await batches.http.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
