"""Everything a request is checked against, read from the database at once and held in memory: keys, workspaces.

A `Registry` is frozen; when the database's `revision` has grown, a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Select, select, update

from bethink.errors import ExpiredKey, RevokedKey, UnknownKey
from bethink.server.accounts.secret import NOBODY, is_same, parse_secret
from bethink.server.accounts.tables import keys, state, users, workspaces
from bethink.server.accounts.values import Key, Limits, Principal, Scope, Workspace

REVISION = "revision"
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency", "tokens_per_month")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key with what its secret is held against."""

    key: Key
    principal: Principal
    digest: bytes = field(repr=False)
    previous_digest: bytes | None = field(repr=False)
    previous_until_us: int


@dataclass(frozen=True, slots=True)
class Registry:
    revision: int = -1
    keys: Mapping[str, KnownKey] = field(default_factory=dict[str, KnownKey])
    workspaces: Mapping[str, Workspace] = field(default_factory=dict[str, Workspace])

    def identify(self, secret: str, now_us: int) -> Principal:
        """Whose key that is. Whatever is wrong with it takes the same time and has the same words, but for the right
        secret of a key that has ended.

        Raises: UnknownKey, ExpiredKey, RevokedKey.
        """
        parsed = parse_secret(secret)
        known = self.keys.get(parsed.key_id) if parsed else None
        digest = parsed.digest if parsed else NOBODY[::-1]
        is_right = is_same(digest, known.digest if known else None)
        was_right = is_same(digest, known.previous_digest if known else None)
        if parsed is None or known is None or not (is_right or (was_right and now_us < known.previous_until_us)):
            raise UnknownKey("this key is not valid", "check that it was copied whole, or ask whoever runs this server")
        check_holds(known.key, now_us)
        return known.principal

    def has_admin(self, now_us: int) -> bool:
        """Whether anybody at all could administer this server."""
        return any("admin" in k.key.scopes and k.key.state(now_us) == "active" for k in self.keys.values())


def check_holds(key: Key, now_us: int) -> None:
    """Raises: ExpiredKey, RevokedKey."""
    match key.state(now_us):
        case "revoked":
            raise RevokedKey("this key was revoked", "ask whoever runs this server for a new one")
        case "expired":
            raise ExpiredKey("this key has expired", "ask whoever runs this server for a new one")
        case "active":
            pass


def read_revision(connection: Connection) -> int:
    return cast("int", connection.execute(select(state.c.value).where(state.c.name == REVISION)).scalar_one())


def bump(connection: Connection) -> None:
    """Tell every server that something changed, with the change itself."""
    connection.execute(update(state).where(state.c.name == REVISION).values(value=state.c.value + 1))


def load_registry(connection: Connection) -> Registry:
    revision = read_revision(connection)
    spaces = {row["id"]: workspace_of(row) for row in connection.execute(select(workspaces)).mappings()}
    known = (_known(row, spaces) for row in connection.execute(all_keys()).mappings())
    return Registry(revision, {k.key.id: k for k in known}, spaces)


def all_keys() -> Select[Any]:
    """Keys with the names of their workspace and user."""
    return (
        select(keys, workspaces.c.name.label("workspace"), users.c.name.label("user"))
        .join(workspaces, workspaces.c.id == keys.c.workspace_id)
        .join(users, users.c.id == keys.c.user_id, isouter=True)
        .order_by(keys.c.created_us, keys.c.id)
    )


def workspace_of(row: RowMapping) -> Workspace:
    return Workspace(row["id"], row["name"], _limits(row), row["logs_content"], row["created_us"])


def key_of(row: RowMapping) -> Key:
    models: str | None = row["models"]
    return Key(
        id=row["id"],
        name=row["name"],
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        user=row["user"],
        scopes=frozenset(cast("list[Scope]", row["scopes"].split())),
        models=None if models is None else tuple(models.splitlines()),
        limits=_limits(row),
        created_us=row["created_us"],
        expires_us=row["expires_us"],
        revoked_us=row["revoked_us"],
    )


def _limits(row: RowMapping) -> Limits:
    return Limits(**{name: row[name] for name in LIMITS})


def _known(row: RowMapping, spaces: Mapping[str, Workspace]) -> KnownKey:
    key = key_of(row)
    principal = Principal(
        workspace_id=key.workspace_id,
        workspace=key.workspace,
        user=key.user,
        key_id=key.id,
        key=key.name,
        scopes=key.scopes,
        models=key.models,
        logs_content=spaces[key.workspace_id].logs_content,
    )
    return KnownKey(key, principal, bytes(row["digest"]), row["previous_digest"], row["previous_until_us"] or 0)
