"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request as Http


@dataclass(frozen=True, slots=True)
class Person:
    """`owner` is what conversations are kept under; `name` and `workspace` are shown."""

    owner: str
    name: str | None
    workspace: str
    is_local: bool
    is_admin: bool


LOCAL = Person("local", None, "local", is_local=True, is_admin=True)
"""The one person on loopback."""


def person_of(http: Http) -> Person:
    """Whose page this is."""
    del http
    return LOCAL
