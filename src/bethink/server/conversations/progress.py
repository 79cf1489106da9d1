"""`Progress`: answers on their way, kept so that a crash costs at most the last second. Synchronous; call it from a
thread.

What always holds: an answer arrives in one transaction with the end of its run; two processes never make the same
answer, as long as each says that it lives more often than every `LOST_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select, update

from bethink.server.conversations.rows import from_json, node_of, to_json
from bethink.server.conversations.storage import Conversations
from bethink.server.conversations.tables import conversations, nodes, runs
from bethink.server.conversations.values import Pending, Status, clean

NOBODY = ""
"""The holder of an answer that was let go."""
LOST_S = 30.0
"""Whoever did not say for so long that it lives does not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended."""

    status: Status
    content: str = ""
    thinking: str | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Progress:
    """`is_alive` says of a holder on this machine whether its process runs (None: it is of another machine)."""

    conversations: Conversations
    is_alive: Callable[[str], bool | None] = lambda _: None

    def take_up(self) -> list[Pending]:
        """Every answer whose maker is gone is ours from now on; oldest first."""
        here = self.conversations
        lost_us = here.now_us() - int(LOST_S * 1e6)
        with here.writing() as db:
            rows = db.execute(select(runs, nodes).join(nodes, nodes.c.id == runs.c.node_id).order_by(nodes.c.seq))
            lost = [row for row in rows.mappings().all() if self._is_lost(row["holder"], row["seen_us"], lost_us)]
            return [_pending(row) for row in lost if self._claim(db, row)]

    def _claim(self, db: Connection, row: RowMapping) -> bool:
        """False: another process was faster."""
        here = self.conversations
        is_as_seen = (runs.c.node_id == row["node_id"]) & (runs.c.holder == row["holder"])
        changes = {
            "holder": here.holder,
            "seen_us": here.now_us(),
            "n_attempts": runs.c.n_attempts + 1,
            "n_crashes": runs.c.n_crashes + int(row["holder"] != NOBODY),
        }
        return db.execute(update(runs).where(is_as_seen).values(**changes)).rowcount > 0

    def _is_lost(self, holder: str, seen_us: int, lost_us: int) -> bool:
        if holder == self.conversations.holder:
            return False
        if holder == NOBODY:
            return True
        is_alive = self.is_alive(holder)
        return seen_us < lost_us if is_alive is None else not is_alive

    def begin(self, node_id: str) -> None:
        """It is being made now."""
        with self.conversations.writing() as db:
            db.execute(update(nodes).where(nodes.c.id == node_id).values(status="running"))

    def keep(self, node_id: str, kept: bytes | None, *, n_crashes: int) -> bool:
        """Write down how far it is (None: only that we live). False: its conversation was deleted."""
        here = self.conversations
        changes: dict[str, Any] = {"seen_us": here.now_us(), "n_crashes": n_crashes}
        if kept is not None:
            changes["kept"] = kept.decode()
        with here.writing() as db:
            done = db.execute(update(runs).where(runs.c.node_id == node_id).values(**changes))
        return done.rowcount > 0

    def kept(self, node_id: str) -> dict[str, Any] | None:
        """What was written down of an answer on its way."""
        with self.conversations.reading() as db:
            return from_json(db.execute(select(runs.c.kept).where(runs.c.node_id == node_id)).scalar())

    def release(self) -> None:
        """Whoever comes next goes on with what is ours."""
        here = self.conversations
        with here.writing() as db:
            db.execute(update(runs).where(runs.c.holder == here.holder).values(holder=NOBODY))

    def end(self, node_id: str, outcome: Outcome) -> None:
        """The answer is there. That its conversation was deleted meanwhile is no error."""
        here = self.conversations
        thinking = None if outcome.thinking is None else clean(outcome.thinking)
        with here.writing() as db:
            db.execute(
                update(nodes)
                .where(nodes.c.id == node_id)
                .values(
                    status=outcome.status,
                    content=clean(outcome.content),
                    thinking=thinking or None,
                    result=to_json(outcome.result),
                    error=to_json(outcome.error),
                    trace_id=None if outcome.result is None else outcome.result["trace_id"],
                )
            )
            db.execute(delete(runs).where(runs.c.node_id == node_id))
            of_it = select(nodes.c.conversation_id).where(nodes.c.id == node_id).scalar_subquery()
            changes: dict[str, Any] = {"updated_us": here.now_us()}
            if outcome.result is not None:
                changes["model"] = outcome.result["model"]["name"]
            db.execute(update(conversations).where(conversations.c.id == of_it).values(**changes))


def _pending(row: RowMapping) -> Pending:
    return Pending(
        owner=row["owner"],
        node=node_of(row),
        seed=row["seed"],
        thought=row["thought"],
        key_id=row["key_id"],
        n_attempts=row["n_attempts"] + 1,
        n_crashes=row["n_crashes"] + (row["holder"] != NOBODY),
        kept=from_json(row["kept"]),
    )
