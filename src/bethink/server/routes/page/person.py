"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request as Http

from bethink.server.record import Record


@dataclass(frozen=True, slots=True)
class Person:
    """`owner` is what conversations are kept under; `name` and `workspace` are shown."""

    owner: str
    name: str | None
    workspace: str
    is_local: bool
    is_admin: bool


def person_of(http: Http) -> Person:
    """Whose page this is: a user's, whatever key they came with, or a key's that belongs to nobody."""
    who = Record.of(http).asker
    is_admin = who.has("admin")
    if who.is_local:
        return Person("local", None, who.workspace, is_local=True, is_admin=is_admin)
    owner = f"{who.workspace_id}/user/{who.user}" if who.user else f"{who.workspace_id}/key/{who.key_id}"
    return Person(owner, who.user or who.key, who.workspace, is_local=False, is_admin=is_admin)
