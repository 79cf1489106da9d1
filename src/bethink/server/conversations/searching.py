"""The list of conversations, whole or what a search finds: titles and messages, any part of a word, upper case or
lower.

SQLite finds through an index of trigrams (`bt_search`, kept by triggers); PostgreSQL reads the owner's messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text, tuple_

from bethink.server.conversations.rows import conversation_of
from bethink.server.conversations.storage import Conversations
from bethink.server.conversations.tables import conversations, nodes
from bethink.server.conversations.values import Conversation, NoSuchConversation

MAX_WORDS = 8
AROUND = 60
"""Characters of a snippet on either side of what was found."""
TRIGRAM = 3


@dataclass(frozen=True, slots=True)
class Found:
    """`snippet` is where the words stand (None: nothing was searched for, or they stand in the title)."""

    conversation: Conversation
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    conversations: tuple[Found, ...]
    more: bool


def listed(here: Conversations, owner: str, *, query: str = "", limit: int = 50, before: str | None = None) -> Listed:
    """Newest first; after the conversation `before`, where that is given. Every word of `query` must stand in the
    title, or all in one message.

    Raises: NoSuchConversation: `before`.
    """
    words = query.split()[:MAX_WORDS]
    with here.reading() as db:
        wanted = [conversations.c.owner == owner]
        if before is not None:
            wanted.append(_older(db, owner, before))
        if words:
            wanted.append(
                or_(
                    _in_title(words),
                    conversations.c.id.in_(_holding(db, owner, words).with_only_columns(nodes.c.conversation_id)),
                )
            )
        newest = (conversations.c.updated_us.desc(), conversations.c.id.desc())
        rows = db.execute(select(conversations).where(*wanted).order_by(*newest).limit(limit + 1)).mappings().all()
        found = [conversation_of(row) for row in rows[:limit]]
        snippets = _snippets(db, owner, [one.id for one in found], words) if words else {}
    told = tuple(Found(one, snippets.get(one.id)) for one in found)
    return Listed(told, len(rows) > limit)


def _older(db: Connection, owner: str, before: str) -> ColumnElement[bool]:
    mine = (conversations.c.id == before) & (conversations.c.owner == owner)
    at = db.execute(select(conversations.c.updated_us).where(mine)).scalar()
    if at is None:
        raise NoSuchConversation(f"there is no conversation {before!r}", "list them from the beginning")
    return tuple_(conversations.c.updated_us, conversations.c.id) < tuple_(at, before)


def _in_title(words: Sequence[str]) -> ColumnElement[bool]:
    return and_(*(conversations.c.title.icontains(word, autoescape=True) for word in words))


def _holding(db: Connection, owner: str, words: Sequence[str]) -> Select[Any]:
    """The messages that hold all words: at least those of the owner, who is looked at once more by who asks. Words too
    short for the index are looked for in what it finds."""
    long = [word for word in words if len(word) >= TRIGRAM] if db.dialect.name == "sqlite" else []
    held = select(nodes).where(
        *(nodes.c.content.icontains(word, autoescape=True) for word in words if word not in long)
    )
    if not long:
        mine = conversations.c.id == nodes.c.conversation_id
        return held.join(conversations, mine).where(conversations.c.owner == owner)
    quoted = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
    hits = text("SELECT rowid FROM bt_search WHERE bt_search MATCH :quoted").bindparams(quoted=quoted)
    return held.where(nodes.c.seq.in_(hits.columns(nodes.c.seq)))  # joined with the owner's, SQLite would ask for each


def _snippets(db: Connection, owner: str, ids: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """By conversation: around the first word, in the newest message that holds all of them."""
    held = _holding(db, owner, words).where(nodes.c.conversation_id.in_(ids))
    newest = held.with_only_columns(func.max(nodes.c.seq)).group_by(nodes.c.conversation_id)
    rows = db.execute(select(nodes.c.conversation_id, nodes.c.content).where(nodes.c.seq.in_(newest))).all()
    return {row[0]: _around(row[1], words[0]) for row in rows}


def _around(content: str, word: str) -> str:
    at = max(0, content.casefold().find(word.casefold()))
    begin, end = max(0, at - AROUND), at + len(word) + AROUND
    shown = " ".join(content[begin:end].split())
    return ("…" if begin else "") + shown + ("…" if end < len(content) else "")
