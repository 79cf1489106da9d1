"""Logins of the page: what a cookie holds stands for the key that was shown once, until it expires or is given up.

What always holds: the database has only the hash of it; a session opens nothing that its key does not open now, since
the key is looked at each time; a key that is revoked ends its sessions, and a password that is changed those it opened.
"""

from __future__ import annotations

import hashlib
import secrets
import threading

from sqlalchemy import Connection, Engine, delete, insert, select

from bethink.errors import ExpiredKey
from bethink.server.accounts.database import database_errors, reading
from bethink.server.accounts.tables import passwords, sessions
from bethink.server.accounts.values import Clock

LASTS_S = 7 * 24 * 3600.0
REMEMBERED_S = 5.0
"""How long what was read is believed: so long a login that was given up elsewhere may go on."""
MAX_REMEMBERED = 10_000


class Sessions:
    """For any thread."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine, self._clock = engine, clock or Clock()
        self._lock = threading.Lock()
        self._remembered: dict[bytes, tuple[str, int, float]] = {}

    def open(self, key_id: str, password_changed_us: int | None = None) -> str:
        """A login with that key; returns what the cookie holds. Blocks. `password_changed_us`: only if the password
        that was shown for it is still the one of that moment.

        Raises: AccountsError, ExpiredKey.
        """
        token = secrets.token_urlsafe(32)
        now_us = self._clock.now_us()
        row = {"key_id": key_id, "created_us": now_us, "expires_us": now_us + int(LASTS_S * 1e6)}
        with database_errors("the login cannot be kept"), self._engine.begin() as db:
            db.execute(delete(sessions).where(sessions.c.expires_us <= now_us))
            if password_changed_us is not None and not _holds_still(db, key_id, password_changed_us):
                raise ExpiredKey("the password was changed just now", "log in with the new one")
            db.execute(insert(sessions).values(digest=digest_of(token), **row))
        return token

    def key_of(self, token: str) -> str | None:
        """The id of the key that it stands for (None: it holds no more). Blocks for a moment, seldom.

        Raises: AccountsError.
        """
        digest, now_us, ticks_s = digest_of(token), self._clock.now_us(), self._clock.ticks_s()
        with self._lock:
            found = self._remembered.get(digest)
        if found is None or ticks_s - found[2] > REMEMBERED_S:
            found = self._read(digest, ticks_s)
        return found[0] if found is not None and found[1] > now_us else None

    def close(self, token: str) -> None:
        """It holds no more. Blocks.

        Raises: AccountsError.
        """
        digest = digest_of(token)
        with database_errors("the login cannot be given up"), self._engine.begin() as db:
            db.execute(delete(sessions).where(sessions.c.digest == digest))
        with self._lock:
            self._remembered.pop(digest, None)

    def forget(self) -> None:
        """Believe nothing that was read before: logins were ended."""
        with self._lock:
            self._remembered.clear()

    def _read(self, digest: bytes, ticks_s: float) -> tuple[str, int, float] | None:
        columns = select(sessions.c.key_id, sessions.c.expires_us).where(sessions.c.digest == digest)
        with database_errors("logins cannot be read"), reading(self._engine).begin() as db:
            row = db.execute(columns).first()
        with self._lock:
            if row is None:
                self._remembered.pop(digest, None)
                return None
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[digest] = (row[0], row[1], ticks_s)
        return found


def _holds_still(db: Connection, key_id: str, changed_us: int) -> bool:
    """Whoever changes the password waits until this login is there to be ended."""
    held = select(passwords.c.changed_us).where(passwords.c.key_id == key_id).with_for_update(read=True)
    return db.execute(held).scalar() == changed_us


def digest_of(token: str) -> bytes:
    """It has 256 random bits: a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
