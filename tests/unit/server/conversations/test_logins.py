"""Logging in with a password over HTTP, and an administrator's view of a company."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from bethink.server.accounts.attempts import PER_NAME
from tests.unit.server.conversations.conftest import Client
from tests.unit.server.conversations.test_people import Company, company

pytestmark = pytest.mark.anyio
__all__ = ["company"]
GOOD, BETTER = "correct horse battery", "another staple entirely"


async def by_password(company: Company, user: str, password: str, **more: str) -> tuple[httpx.Response, Client]:
    http = company.browser()
    response = await http.post("/api/login", json={"user": user, "password": password, **more})
    return response, Client(http, company.page)


async def test_a_user_logs_in_with_a_password_and_keeps_what_their_keys_asked(company: Company) -> None:
    ada = await company.logged_in("ada")
    assert (await company.browser().get("/api/login")).json() == {"ways": ["key"]}
    made = await ada.post("/api/keys", {"name": "cara's laptop", "user": "cara"})
    company.keys["cara"] = made["secret"]
    by_key = await company.logged_in("cara")
    conversation = await by_key.new()
    told = await ada.post("/api/users", {"name": "cara", "password": GOOD})
    assert told == {"password": None}
    response, cara = await by_password(company, "cara", GOOD)
    assert response.json() == {"user": "cara", "workspace": "default", "is_admin": False}
    assert [one["id"] for one in (await cara.get("/api/conversations"))["conversations"]] == [conversation]
    me = await cara.get("/api/me")
    assert (me["user"], me["has_password"], me["is_admin"]) == ("cara", True, False)
    assert (await company.browser().get("/api/login")).json() == {"ways": ["password", "key"]}
    answer = await cara.answer(conversation, "What is 2 + 2?", paths=1)
    assert answer["status"] == "done"


async def test_a_made_password_is_told_once_and_may_be_an_administrators(company: Company) -> None:
    ada = await company.logged_in("ada")
    made = (await ada.post("/api/users", {"name": "dora", "is_admin": True}))["password"]
    response, dora = await by_password(company, "dora", made)
    assert response.json()["is_admin"] is True
    listed = await dora.get("/api/workspaces")
    assert made not in str(listed)
    assert made not in str(await dora.get("/api/keys"))


async def test_wrong_names_and_passwords_are_refused_alike_and_then_slowed_down(company: Company) -> None:
    company.accounts.passwords.set("cara", GOOD)
    refused = [(await by_password(company, user, "wrong password"))[0] for user in ("cara", "nobody")]
    assert [response.status_code for response in refused] == [401, 401]
    assert refused[0].json() == refused[1].json()
    for _ in range(PER_NAME.n - 1):
        assert (await by_password(company, "cara", "wrong password"))[0].status_code == 401
    slowed, _client = await by_password(company, "cara", GOOD)
    assert (slowed.status_code, slowed.json()["error"]["code"]) == (429, "too_many_tries")
    assert int(slowed.headers["retry-after"]) >= 1


async def test_a_user_changes_their_password_and_their_other_logins_end(company: Company) -> None:
    company.accounts.passwords.set("cara", GOOD)
    _, here = await by_password(company, "cara", GOOD)
    _, there = await by_password(company, "cara", GOOD)
    wrong = await here.http.post("/api/password", json={"old": BETTER, "new": BETTER})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "wrong_password")
    assert (await here.http.post("/api/password", json={"old": GOOD, "new": "short"})).status_code == 400
    assert (await there.http.get("/api/me")).status_code == 200
    assert (await here.http.post("/api/password", json={"old": GOOD, "new": BETTER})).status_code == 204
    assert (await here.http.get("/api/me")).status_code == 200
    assert (await there.http.get("/api/me")).status_code == 401
    assert (await by_password(company, "cara", GOOD))[0].status_code == 401
    assert (await by_password(company, "cara", BETTER))[0].status_code == 200


async def test_whoever_has_no_password_cannot_make_one_from_a_key(company: Company) -> None:
    bob = await company.logged_in("bob")
    assert (await bob.http.post("/api/password", json={"old": GOOD, "new": BETTER})).status_code == 404


async def test_a_taken_password_ends_the_login_at_once(company: Company) -> None:
    ada = await company.logged_in("ada")
    await ada.post("/api/users", {"name": "cara", "password": GOOD})
    _, cara = await by_password(company, "cara", GOOD)
    (space,) = [one for one in (await ada.get("/api/workspaces"))["workspaces"] if one["name"] == "default"]
    (user,) = space["users"]
    assert user == {"id": user["id"], "name": "cara", "n_keys": 1, "has_password": True}
    assert (await ada.http.delete(f"/api/users/{user['id']}/password")).status_code == 204
    assert (await cara.http.get("/api/me")).status_code == 401
    assert (await ada.http.delete(f"/api/users/{user['id']}/password")).status_code == 404
    assert (await ada.http.delete("/api/users/nobody/password")).status_code == 404


async def test_no_password_is_logged_or_said_again(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        bodies: tuple[dict[str, Any], ...] = (
            {"user": "cara", "password": "hunter2hunter2"},
            {"user": "cara", "password": "hunter2" * 300},
            {"user": "cara", "password": "hunter2hunter2", "extra": 1},
            {"user": "x" * 500, "password": "hunter2hunter2"},
        )
        for body in bodies:
            response = await company.browser().post("/api/login", json=body)
            assert response.status_code in (400, 401)
            said.append(response.text)
        company.accounts.passwords.set("cara", "hunter2hunter2")
        said.append((await by_password(company, "cara", "hunter2hunter2"))[0].text)
    assert "hunter2" not in caplog.text
    assert "hunter2" not in "".join(said)


async def test_nothing_to_log_in_with_is_an_error_in_words(company: Company) -> None:
    for body in ({}, {"user": "ann"}, {"password": ""}, {"key": ""}):
        response = await company.browser().post("/api/login", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["message"]


async def test_an_administrator_sees_and_limits_workspaces(company: Company) -> None:
    ada = await company.logged_in("ada")
    made = (await ada.post("/api/workspaces", {"name": "research", "limits": {"tokens_per_month": 5000}}))["workspace"]
    changed = await ada.http.patch(f"/api/workspaces/{made['id']}", json={"limits": {"concurrency": 2}})
    (space,) = [one for one in changed.json()["workspaces"] if one["name"] == "research"]
    assert (space["limits"]["concurrency"], space["limits"]["tokens_per_month"]) == (2, None)
    assert (await ada.http.patch(f"/api/workspaces/{made['id']}", json={"logs_content": True})).status_code == 200
    assert company.accounts.directory.workspace("research").limits.concurrency == 2
    assert (await ada.http.post("/api/workspaces", json={"name": "research"})).status_code == 409
    assert (await ada.http.patch("/api/workspaces/none", json={})).status_code == 404


async def test_use_of_the_month_stands_beside_the_limits_and_usage_can_be_of_one_workspace(company: Company) -> None:
    ada, bob = await company.logged_in("ada"), await company.logged_in("bob")
    await bob.answer(await bob.new(), "What is 2 + 2?", paths=1)
    spaces = {one["name"]: one for one in (await ada.get("/api/workspaces"))["workspaces"]}
    keys = {one["name"]: one["used_this_month"] for one in (await ada.get("/api/keys"))["keys"]}
    assert spaces["default"]["used_this_month"] == keys["bob"] > 0 == keys["ada"]
    of_default = await ada.get("/api/usage", by="day", workspace=spaces["default"]["id"], model="scripted")
    assert [row["n_requests"] for row in of_default["rows"]] == [1]
    assert (await ada.get("/api/usage", by="day", workspace=spaces["local"]["id"]))["rows"] == []


async def test_models_and_expiry_of_a_key_are_changed_or_left(company: Company) -> None:
    ada = await company.logged_in("ada")
    path, until = f"/api/keys/{company.ids['bob']}", "2099-01-01T00:00:00+00:00"
    changed = (await ada.http.patch(path, json={"models": ["qwen3:*"], "expires": until})).json()["key"]
    assert (changed["models"], changed["expires"][:10]) == (["qwen3:*"], "2099-01-01")
    kept = (await ada.http.patch(path, json={"concurrency": 1})).json()["key"]
    assert (kept["models"], kept["expires"], kept["limits"]["concurrency"]) == (["qwen3:*"], changed["expires"], 1)
    freed = (await ada.http.patch(path, json={"models": None, "expires": None})).json()["key"]
    assert (freed["models"], freed["expires"]) == (None, None)
    wrong: tuple[dict[str, Any], ...] = (
        {"models": []},
        {"expires": "2001-01-01T00:00:00Z"},
        {"models": ["bad\u0000name"]},
    )
    assert [(await ada.http.patch(path, json=body)).status_code for body in wrong] == [400, 400, 400]


async def test_what_is_an_administrators_is_refused_to_everybody_else(company: Company) -> None:
    company.accounts.passwords.set("cara", GOOD)
    _, cara = await by_password(company, "cara", GOOD)
    for client in (cara, await company.logged_in("bob")):
        refused = [
            await client.http.get("/api/workspaces"),
            await client.http.post("/api/workspaces", json={"name": "mine"}),
            await client.http.patch("/api/workspaces/default", json={"logs_content": False}),
            await client.http.post("/api/users", json={"name": "ada", "password": BETTER, "is_admin": True}),
            await client.http.delete("/api/users/x/password"),
            await client.http.get("/api/keys"),
            await client.http.patch(f"/api/keys/{company.ids['bob']}", json={"models": None}),
        ]
        assert [response.status_code for response in refused] == [403] * len(refused)
    async with company.browser() as stranger:
        assert (await stranger.get("/api/workspaces")).status_code == 401
        assert (await stranger.post("/api/password", json={"old": GOOD, "new": BETTER})).status_code == 401
