"""`/api/workspaces` and `/api/users`: for administrators, who belongs where, what each may take and took this month."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, SecretStr
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UnknownAccount
from bethink.server.accounts import Accounts, User, Workspace
from bethink.server.accounts import Limits as KeyLimits
from bethink.server.accounts.hashing import LONGEST, new_password
from bethink.server.accounts.values import MAX_NAME
from bethink.server.asking.knobs import Strict
from bethink.server.conversations.records import moment
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.routes.page.keys import LimitsBody, administered
from bethink.server.running.service import json_response

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class NewWorkspaceBody(Strict):
    name: Name
    limits: LimitsBody = LimitsBody()
    logs_content: bool = False


class WorkspaceBody(Strict):
    """What is left out stays as it is."""

    limits: LimitsBody | None = None
    logs_content: bool | None = None


class UserBody(Strict):
    """Without `password`, one is made and told once. Without `is_admin`, they may do what they might before."""

    name: Name
    workspace: Name = "default"
    password: Annotated[SecretStr, Field(min_length=1, max_length=2 * LONGEST)] | None = None
    is_admin: bool | None = None


async def list_workspaces(http: Http) -> Response:
    accounts = administered(http)
    spaces, people, used = await asyncio.gather(
        asyncio.to_thread(accounts.directory.workspaces),
        asyncio.to_thread(accounts.directory.users),
        asyncio.to_thread(accounts.used_this_month),
    )
    return json_response({"workspaces": [_workspace_record(space, people, used) for space in spaces]})


async def create_workspace(http: Http) -> Response:
    accounts, body = administered(http), await body_of(http, NewWorkspaceBody)
    limits = KeyLimits(**body.limits.model_dump())
    made = await asyncio.to_thread(
        accounts.directory.create_workspace, body.name.strip(), limits, logs_content=body.logs_content
    )
    return json_response({"workspace": _workspace_record(made, [], {})}, status=201)


async def change_workspace(http: Http) -> Response:
    accounts, body = administered(http), await body_of(http, WorkspaceBody)
    name = await asyncio.to_thread(_name_of, accounts, str(http.path_params["id"]))
    limits = None if body.limits is None else KeyLimits(**body.limits.model_dump())
    await asyncio.to_thread(accounts.directory.change_workspace, name, limits=limits, logs_content=body.logs_content)
    return await list_workspaces(http)


async def set_password(http: Http) -> Response:
    """A user's password, also that of one who is not there yet. Their other logins end."""
    accounts, body, page = administered(http), await body_of(http, UserBody), page_of(http)
    password = new_password() if body.password is None else body.password.get_secret_value()
    async with page.checking_passwords:
        await asyncio.to_thread(
            accounts.passwords.set, body.name.strip(), password, workspace=body.workspace, is_admin=body.is_admin
        )
    page.sessions.forget()
    return json_response({"password": password if body.password is None else None}, status=201)


async def remove_password(http: Http) -> Response:
    """From now on that user comes with a key, or not at all."""
    accounts, user_id = administered(http), str(http.path_params["id"])
    people = await asyncio.to_thread(accounts.directory.users)
    user = next((one for one in people if one.id == user_id), None)
    if user is None:
        raise UnknownAccount("there is no such user", "list them again")
    await asyncio.to_thread(accounts.passwords.remove, user.name, workspace=user.workspace)
    page_of(http).sessions.forget()
    return Response(status_code=204)


def _name_of(accounts: Accounts, workspace_id: str) -> str:
    for one in accounts.directory.workspaces():
        if one.id == workspace_id:
            return one.name
    raise UnknownAccount("there is no such workspace", "list them again")


def _workspace_record(space: Workspace, people: list[User], used: dict[str, int]) -> dict[str, Any]:
    return {
        "id": space.id,
        "name": space.name,
        "limits": asdict(space.limits),
        "logs_content": space.logs_content,
        "created": moment(space.created_us),
        "used_this_month": used.get(space.id, 0),
        "users": [
            {"id": one.id, "name": one.name, "n_keys": one.n_keys, "has_password": one.has_password}
            for one in people
            if one.workspace == space.name
        ],
    }
