"""Workspaces, users and keys: made, listed, changed, ended. Nothing here is fast, and nothing a request waits for.

A key ends by being revoked; nothing is ever deleted, because the ledger names it. What changes is seen by every running
server within a second (`Accounts.refresh_s`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bethink.errors import AccountExists, UnknownAccount, UsageError
from bethink.server.accounts.database import database_errors, reading
from bethink.server.accounts.registry import all_keys, bump, key_of, workspace_of
from bethink.server.accounts.secret import new_key_id, new_secret
from bethink.server.accounts.tables import keys, passwords, users, workspaces
from bethink.server.accounts.values import (
    DEFAULT_WORKSPACE,
    SCOPES,
    Clock,
    Key,
    KeyTerms,
    Limits,
    NewKey,
    Scope,
    User,
    Workspace,
    check_text,
)

DEFAULT_SCOPES: frozenset[Scope] = frozenset({"inference", "batches"})


class Directory:
    def __init__(self, engine: Engine, clock: Clock, on_change: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._clock = clock
        self._on_change = on_change

    # ---- workspaces and users

    def create_workspace(self, name: str, limits: Limits | None = None, *, logs_content: bool = False) -> Workspace:
        """Raises: AccountExists, UsageError (no name for one)."""
        made = Workspace(
            f"ws_{secrets.token_hex(6)}",
            _name("workspace", name),
            limits or Limits(),
            logs_content,
            self._clock.now_us(),
        )
        row = {"id": made.id, "name": name, "logs_content": logs_content, "created_us": made.created_us}
        with self._changing() as connection, _taken(f"there is a workspace {name!r} already"):
            connection.execute(insert(workspaces).values(**row, **asdict(made.limits)))
        return made

    def workspaces(self) -> list[Workspace]:
        with self._reading() as connection:
            rows = connection.execute(select(workspaces).order_by(workspaces.c.created_us, workspaces.c.name))
            return [workspace_of(row) for row in rows.mappings()]

    def workspace(self, name: str) -> Workspace:
        """Raises: UnknownAccount."""
        with self._reading() as connection:
            return _workspace(connection, name)

    def change_workspace(
        self, name: str, *, limits: Limits | None = None, logs_content: bool | None = None
    ) -> Workspace:
        """What is None stays as it is.

        Raises: UnknownAccount.
        """
        with self._changing() as connection:
            found = _workspace(connection, name)
            values: dict[str, Any] = {} if limits is None else asdict(limits)
            if logs_content is not None:
                values["logs_content"] = logs_content
            if values:
                connection.execute(update(workspaces).where(workspaces.c.id == found.id).values(**values))
            return _workspace(connection, found.name)

    def users(self) -> list[User]:
        n_keys = func.count(keys.c.id)
        has_password = func.count(passwords.c.user_id) > 0
        rows = (
            select(
                users,
                workspaces.c.name.label("workspace"),
                n_keys.label("n_keys"),
                has_password.label("has_password"),
            )
            .join(workspaces, workspaces.c.id == users.c.workspace_id)
            .join(passwords, passwords.c.user_id == users.c.id, isouter=True)
            .join(keys, (keys.c.user_id == users.c.id) & keys.c.revoked_us.is_(None), isouter=True)
            .group_by(users.c.id, workspaces.c.name)
            .order_by(workspaces.c.name, users.c.name)
        )
        with self._reading() as connection:
            return [
                User(
                    row["id"],
                    row["workspace"],
                    row["name"],
                    row["created_us"],
                    row["n_keys"],
                    bool(row["has_password"]),
                )
                for row in connection.execute(rows).mappings()
            ]

    # ---- keys

    def create_key(
        self,
        name: str,
        *,
        workspace: str = DEFAULT_WORKSPACE,
        user: str | None = None,
        scopes: frozenset[Scope] = DEFAULT_SCOPES,
        models: Sequence[str] | None = None,
        limits: Limits | None = None,
        expires_us: int | None = None,
    ) -> NewKey:
        """A user that is not there yet is made with their first key.

        Raises: UnknownAccount (the workspace), AccountExists (a key of that name in use there), UsageError.
        """
        now_us, key_id = self._clock.now_us(), new_key_id()
        secret = new_secret(key_id)
        row: dict[str, Any] = {
            "id": key_id,
            "name": _name("key", name),
            "digest": _digest(secret),
            "scopes": " ".join(sorted(_scopes(scopes))),
            "models": _models(models),
            "created_us": now_us,
            "expires_us": expires_us,
            **asdict(limits or Limits()),
        }
        if expires_us is not None and expires_us <= now_us:
            raise UsageError("that key would have expired already", "give a time that is still to come")
        with self._changing() as connection, _taken(f"a key {name!r} is in use in the workspace {workspace!r}"):
            row["workspace_id"] = _workspace(connection, workspace).id
            row["user_id"] = None if user is None else _user_id(connection, row["workspace_id"], user, now_us)
            connection.execute(insert(keys).values(**row))
            return NewKey(_key(connection, key_id), secret)

    def keys(self, workspace: str | None = None, *, with_revoked: bool = False) -> list[Key]:
        """Raises: UnknownAccount."""
        chosen = all_keys() if with_revoked else all_keys().where(keys.c.revoked_us.is_(None))
        with self._reading() as connection:
            if workspace is not None:
                chosen = chosen.where(keys.c.workspace_id == _workspace(connection, workspace).id)
            return [key_of(row) for row in connection.execute(chosen).mappings()]

    def key(self, name: str) -> Key:
        """By its id, or by its name where only one key in use (or, failing that, only one at all) has it.

        Raises: UnknownAccount.
        """
        with self._reading() as connection:
            return _find_key(connection, name)

    def revoke_key(self, name: str) -> Key:
        """From now on it opens nothing. One that is revoked already stays so.

        Raises: UnknownAccount.
        """
        return self._change_key(name, lambda key: {"revoked_us": key.revoked_us or self._clock.now_us()})

    def revoke_user(self, name: str, workspace: str | None = None) -> list[Key]:
        """Every key in use of that user, in one workspace or in all. Returns those that it ended.

        Raises: UnknownAccount: no such user.
        """
        with self._changing() as connection:
            whose = users.c.name == name
            if workspace is not None:
                whose &= users.c.workspace_id == _workspace(connection, workspace).id
            ids = [str(user_id) for user_id in connection.execute(select(users.c.id).where(whose)).scalars()]
            if not ids:
                raise UnknownAccount(f"there is no user {name!r}", "`bethink keys users` shows them")
            in_use = keys.c.user_id.in_(ids) & keys.c.revoked_us.is_(None)
            ended = [key_of(row) for row in connection.execute(all_keys().where(in_use)).mappings()]
            connection.execute(update(keys).where(in_use).values(revoked_us=self._clock.now_us()))
            return ended

    def rotate_key(self, name: str, *, grace_s: float = 0.0) -> NewKey:
        """A new secret for the same key; the old one goes on for `grace_s`.

        Raises: UnknownAccount, UsageError: a key that was revoked.
        """
        until_us = self._clock.now_us() + int(grace_s * 1e6)
        made = ""

        def rotated(key: Key) -> dict[str, Any]:
            nonlocal made
            if key.revoked_us is not None:
                raise UsageError(f"the key {key.name!r} was revoked and cannot be rotated", "bethink keys create NAME")
            made = new_secret(key.id)
            return {"previous_digest": keys.c.digest, "previous_until_us": until_us, "digest": _digest(made)}

        key = self._change_key(name, rotated)
        return NewKey(key, made)

    def change_key(self, name: str, *, limits: Limits | None = None, terms: KeyTerms | None = None) -> Key:
        """What is None stays as it is.

        Raises: UnknownAccount, UsageError: no models at all, or a time that is over.
        """
        values: dict[str, Any] = {} if limits is None else asdict(limits)
        if terms is not None:
            if terms.expires_us is not None and terms.expires_us <= self._clock.now_us():
                raise UsageError("that moment is over", "give a time that is still to come, or revoke the key")
            values |= {"models": _models(terms.models), "expires_us": terms.expires_us}
        return self._change_key(name, lambda _: values)

    def _change_key(self, name: str, values: Callable[[Key], dict[str, Any]]) -> Key:
        with self._changing() as connection:
            found = _find_key(connection, name)
            changed = values(found)
            if changed:
                connection.execute(update(keys).where(keys.c.id == found.id).values(**changed))
            return _key(connection, found.id)

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with database_errors("the accounts cannot be read"), reading(self._engine).begin() as connection:
            yield connection

    @contextmanager
    def _changing(self) -> Generator[Connection]:
        with database_errors("the accounts cannot be changed"), self._engine.begin() as connection:
            yield connection
            bump(connection)
        self._on_change()


@contextmanager
def _taken(message: str) -> Generator[None]:
    try:
        yield
    except IntegrityError as error:
        raise AccountExists(message, "choose another name") from error


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _name(what: str, name: str) -> str:
    try:
        return check_text(f"the name of the {what}", name)
    except ValueError as error:
        raise UsageError(str(error), "a name is one short line of text") from error


def _scopes(scopes: frozenset[Scope]) -> frozenset[Scope]:
    unknown = scopes - set(SCOPES)
    if unknown or not scopes:
        raise UsageError(f"no such scope: {', '.join(sorted(unknown)) or '(none)'}", f"one of {', '.join(SCOPES)}")
    return scopes


def _models(models: Sequence[str] | None) -> str | None:
    if models is None:
        return None
    if not models:
        raise UsageError("a key that may use no model is of no use", "name models, or leave them out to allow all")
    return "\n".join(_name("model", model) for model in models)


def _workspace(connection: Connection, name: str) -> Workspace:
    row = connection.execute(select(workspaces).where(workspaces.c.name == name)).mappings().one_or_none()
    if row is None:
        names = connection.execute(select(workspaces.c.name).order_by(workspaces.c.name).limit(20)).scalars()
        raise UnknownAccount(
            f"there is no workspace {name!r}",
            f"there are {', '.join(names)}; `bethink keys workspaces create` makes one",
        )
    return workspace_of(row)


def named_user_id(connection: Connection, workspace: str, user: str, now_us: int) -> tuple[str, str]:
    """The ids of a workspace and of a user in it, who is made where there is none.

    Raises: UnknownAccount (the workspace), UsageError (no name for a user).
    """
    workspace_id = _workspace(connection, workspace).id
    return workspace_id, _user_id(connection, workspace_id, user, now_us)


def _user_id(connection: Connection, workspace_id: str, name: str, now_us: int) -> str:
    here = select(users.c.id).where(users.c.workspace_id == workspace_id, users.c.name == _name("user", name))
    found = connection.execute(here).scalar_one_or_none()
    if found is not None:
        return cast("str", found)
    made = f"user_{secrets.token_hex(6)}"
    row = {"id": made, "workspace_id": workspace_id, "name": name, "created_us": now_us}
    connection.execute(insert(users).values(**row))
    return made


def _key(connection: Connection, key_id: str) -> Key:
    return key_of(connection.execute(all_keys().where(keys.c.id == key_id)).mappings().one())


def _find_key(connection: Connection, name: str) -> Key:
    chosen = all_keys().where((keys.c.id == name) | (keys.c.name == name))
    found = [key_of(row) for row in connection.execute(chosen).mappings()]
    for group in (
        [key for key in found if key.id == name],
        [key for key in found if key.revoked_us is None],
        found,
    ):
        if len(group) == 1:
            return group[0]
        if group:
            ids = ", ".join(f"{key.id} ({key.workspace})" for key in group[:20])
            raise UnknownAccount(f"{len(group)} keys are named {name!r}", f"say which by its id: {ids}")
    raise UnknownAccount(f"there is no key {name!r}", "`bethink keys list --all` shows the names and ids")
