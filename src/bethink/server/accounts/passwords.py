"""Users' passwords: set by an administrator, changed by the user, each logging in as a key of its own.

What always holds: only a slow, salted digest is kept (`hashing`); a wrong password, a user that is not there and a user
without one are refused in the same words and the same time; who sets or changes a password ends every login that the
old one opened, in the same transaction; a password whose key was revoked or has expired opens nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bethink.errors import AccountExists, Unauthorized, UnknownAccount
from bethink.server.accounts.attempts import Attempts
from bethink.server.accounts.database import database_errors, reading
from bethink.server.accounts.directory import DEFAULT_SCOPES, named_user_id
from bethink.server.accounts.hashing import check_password, hash_password, is_password
from bethink.server.accounts.registry import bump
from bethink.server.accounts.secret import new_key_id, new_secret
from bethink.server.accounts.sessions import digest_of
from bethink.server.accounts.tables import keys, passwords, sessions, users, workspaces
from bethink.server.accounts.values import DEFAULT_WORKSPACE, Clock


class WrongPassword(Unauthorized):
    """Never says whether it was the name or the password."""

    code = "wrong_password"


@dataclass(frozen=True, slots=True)
class Opened:
    """The key that a password logs in as, and which password it was."""

    key_id: str
    changed_us: int


@dataclass(frozen=True, slots=True)
class _Found:
    user_id: str
    workspace: str
    key_id: str
    hashed: str
    changed_us: int


class Passwords:
    """Everything blocks, for about a tenth of a second where a password is looked at."""

    def __init__(self, engine: Engine, clock: Clock, on_change: Callable[[], None] = lambda: None) -> None:
        self._engine, self._clock, self._on_change = engine, clock, on_change
        self._attempts = Attempts(clock)

    def exist(self) -> bool:
        """Whether anybody could log in with one."""
        with self._reading() as connection:
            return connection.execute(select(passwords.c.user_id).limit(1)).first() is not None

    def has_one(self, workspace_id: str, user: str | None) -> bool:
        if user is None:
            return False
        with self._reading() as connection:
            return _find(connection, (users.c.name == user) & (users.c.workspace_id == workspace_id)) != []

    def open(self, user: str, password: str, *, workspace: str = "", address: str = "") -> Opened:
        """Which key that name and password stand for. An empty `workspace` is the only one with such a user, or else
        `default`.

        Raises: WrongPassword, TooManyTries.
        """
        self._attempts.take(user, address)
        with self._reading() as connection:
            found = _find(connection, users.c.name == user)
        wanted = workspace or (DEFAULT_WORKSPACE if len(found) > 1 else "")
        one = next((each for each in found if not wanted or each.workspace == wanted), None)
        if not is_password(password, one.hashed if one else None) or one is None:
            raise WrongPassword(
                "this name and password do not go together",
                "an administrator can set a new password; where several workspaces have users of one name, name yours",
            )
        self._attempts.give_back(user, address)
        return Opened(one.key_id, one.changed_us)

    def change(self, workspace_id: str, user: str, old: str, new: str, *, keeps: str = "", address: str = "") -> None:
        """By the user, who knows the old one. Every login with it ends but the one whose token is `keeps`.

        Raises: UnknownAccount: no password to change. WrongPassword, TooManyTries, UsageError.
        """
        check_password(new, user)
        with self._reading() as connection:
            found = _find(connection, (users.c.name == user) & (users.c.workspace_id == workspace_id))
        if not found:
            raise UnknownAccount("you have no password here", "an administrator can set one")
        self._attempts.take(user, address)
        if not is_password(old, found[0].hashed):
            raise WrongPassword("the old password is another one", "an administrator can set a new one")
        self._attempts.give_back(user, address)
        hashed = hash_password(new)
        with self._changing() as connection:
            unchanged = (passwords.c.user_id == found[0].user_id) & (passwords.c.changed_us == found[0].changed_us)
            values = {"hashed": hashed, "changed_us": max(self._clock.now_us(), found[0].changed_us + 1)}
            if connection.execute(update(passwords).where(unchanged).values(**values)).rowcount != 1:
                raise WrongPassword("the password was changed meanwhile", "log in again")
            _end_logins(connection, found[0].key_id, keeps)

    def set(self, user: str, password: str, *, workspace: str = DEFAULT_WORKSPACE, is_admin: bool | None = None) -> str:
        """By an administrator: the user is made where there is none, and the old password's logins end. Returns the id
        of the key that it logs in as, made with the first password and whenever that key was revoked. `is_admin` None:
        as it was, and no for who is new.

        Raises: UnknownAccount (the workspace), UsageError (a password that may not be chosen, a name that is none).
        """
        check_password(password, user)
        hashed, now_us = hash_password(password), self._clock.now_us()
        with self._changing() as connection:
            workspace_id, user_id = named_user_id(connection, workspace, user, now_us)
            old = connection.execute(select(passwords).where(passwords.c.user_id == user_id)).mappings().first()
            key_id = str(old["key_id"]) if old is not None and _is_in_use(connection, old["key_id"]) else None
            if key_id is None:
                key_id = _make_key(connection, workspace_id, user_id, user, now_us)
            if is_admin is not None:
                scopes = " ".join(sorted({"admin"} if is_admin else DEFAULT_SCOPES))
                connection.execute(update(keys).where(keys.c.id == key_id).values(scopes=scopes))
            row = {"key_id": key_id, "hashed": hashed, "changed_us": now_us}
            if old is None:
                connection.execute(insert(passwords).values(user_id=user_id, **row))
            else:
                row["changed_us"] = max(now_us, int(old["changed_us"]) + 1)
                connection.execute(update(passwords).where(passwords.c.user_id == user_id).values(**row))
                _end_logins(connection, str(old["key_id"]))
        return key_id

    def remove(self, user: str, *, workspace: str = DEFAULT_WORKSPACE) -> None:
        """The user logs in with keys alone from now on; the password's key is revoked.

        Raises: UnknownAccount: there is no such password.
        """
        with self._changing() as connection:
            found = _find(connection, (users.c.name == user) & (workspaces.c.name == workspace))
            if not found:
                raise UnknownAccount(f"the user {user!r} has no password in the workspace {workspace!r}")
            connection.execute(delete(passwords).where(passwords.c.user_id == found[0].user_id))
            ended = (keys.c.id == found[0].key_id) & keys.c.revoked_us.is_(None)
            connection.execute(update(keys).where(ended).values(revoked_us=self._clock.now_us()))
            _end_logins(connection, found[0].key_id)

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with database_errors("passwords cannot be read"), reading(self._engine).begin() as connection:
            yield connection

    @contextmanager
    def _changing(self) -> Generator[Connection]:
        """Raises: AccountExists: somebody else set one at the same moment."""
        with database_errors("passwords cannot be changed"):
            try:
                with self._engine.begin() as connection:
                    yield connection
                    bump(connection)
            except IntegrityError as error:
                raise AccountExists("this password was set by somebody else just now", "look again") from error
        self._on_change()


def _find(connection: Connection, whose: ColumnElement[bool]) -> list[_Found]:
    statement = (
        select(users.c.id, workspaces.c.name, passwords.c.key_id, passwords.c.hashed, passwords.c.changed_us)
        .join(users, users.c.id == passwords.c.user_id)
        .join(workspaces, workspaces.c.id == users.c.workspace_id)
        .where(whose)
    )
    return [_Found(*row) for row in connection.execute(statement)]


def _is_in_use(connection: Connection, key_id: str) -> bool:
    in_use = (keys.c.id == key_id) & keys.c.revoked_us.is_(None)
    return connection.execute(select(keys.c.id).where(in_use)).first() is not None


def _make_key(connection: Connection, workspace_id: str, user_id: str, user: str, now_us: int) -> str:
    """A key whose secret is thrown away."""
    key_id = new_key_id()
    name = f"{user[:80]} by password"
    taken = (keys.c.workspace_id == workspace_id) & (keys.c.name == name) & keys.c.revoked_us.is_(None)
    if connection.execute(select(keys.c.id).where(taken)).first() is not None:
        name = f"{user[:70]} by password {key_id[:6]}"
    row = {"id": key_id, "workspace_id": workspace_id, "user_id": user_id, "name": name, "created_us": now_us}
    digest = hashlib.sha256(new_secret(key_id).encode("ascii")).digest()
    connection.execute(insert(keys).values(**row, digest=digest, scopes=" ".join(sorted(DEFAULT_SCOPES))))
    return key_id


def _end_logins(connection: Connection, key_id: str, keeps: str = "") -> None:
    others = (sessions.c.key_id == key_id) & (sessions.c.digest != digest_of(keeps))
    connection.execute(delete(sessions).where(others))
