"""`Conversations`: what was said, kept in a database. Synchronous; call it from a thread.

What always holds: every change is one transaction; nobody reads or changes what another owner has, and is told that it
does not exist; an answer that is to come stands in `runs` from the moment its question is kept until it is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, delete, func, insert, literal, select, update

from bethink.errors import UsageError
from bethink.server.accounts.database import database_errors, reading
from bethink.server.conversations.noderows import insert_nodes, select_nodes
from bethink.server.conversations.rows import conversation_of, file_of, new_id
from bethink.server.conversations.tables import conversations, files, node_files, nodes, runs
from bethink.server.conversations.titles import title_of
from bethink.server.conversations.tree import newest_leaf
from bethink.server.conversations.values import (
    UNTITLED,
    Conversation,
    FileRef,
    Node,
    NoSuchConversation,
    NoSuchNode,
    Pending,
    StillAnswering,
    TurnSettings,
    checked_content,
    checked_title,
    clean,
)

MAX_NODES = 20_000
"""Of one conversation."""
MAX_FILES = 20
"""Of one question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the answer that is to come."""

    user: Node
    pending: Pending


@dataclass(slots=True)
class Conversations:
    """`holder` names this process among those that share the database; `now_us` is the time of day."""

    engine: Engine
    holder: str = "here"
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that changes nothing, and waits for nobody.

        Raises: AccountsError.
        """
        return _transaction(reading(self.engine), "conversations cannot be read")

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is kept whole or not at all.

        Raises: AccountsError.
        """
        return _transaction(self.engine, "the conversation cannot be kept")

    # ---- conversations

    def create(self, owner: str, title: str | None = None) -> Conversation:
        named = checked_title(title) if title is not None else None
        now = self.now_us()
        made = Conversation(new_id("c"), named or UNTITLED, now, now)
        with self.writing() as db:
            db.execute(
                insert(conversations).values(
                    id=made.id,
                    owner=owner,
                    title=made.title,
                    is_titled=named is not None,
                    n_turns=0,
                    created_us=now,
                    updated_us=now,
                )
            )
        return made

    def take_in(self, owner: str, title: str, made: Sequence[Node], leaf: str | None) -> Conversation:
        """A whole conversation from elsewhere. The conversation's id is that of its nodes."""
        now = self.now_us()
        n_turns = sum(node.role == "user" for node in made)
        taken = Conversation(made[0].conversation, title, now, now, leaf, None, n_turns)
        with self.writing() as db:
            row = {"id": taken.id, "owner": owner, "title": title, "is_titled": title != UNTITLED, "leaf": leaf}
            db.execute(insert(conversations).values(**row, n_turns=n_turns, created_us=now, updated_us=now))
            insert_nodes(db, made)
        return taken

    def has_trace(self, owner: str, trace_id: str) -> bool:
        """Whether one of the owner's answers has that trace."""
        mine = select(nodes.c.id).join(conversations, conversations.c.id == nodes.c.conversation_id)
        mine = mine.where(nodes.c.trace_id == trace_id, conversations.c.owner == owner)
        with self.reading() as db:
            return db.execute(mine.limit(1)).first() is not None

    def keep_file(self, owner: str, name: str, kind: str, text: str, cut: str | None) -> FileRef:
        """What was read of a file, to ask about it."""
        kept = FileRef(new_id("f"), clean(name), kind, len(text), cut)
        with self.writing() as db:
            row = {"id": kept.id, "name": kept.name, "kind": kind, "chars": kept.chars, "cut": cut, "text": clean(text)}
            db.execute(insert(files).values(**row, owner=owner, created_us=self.now_us()))
        return kept

    def forget_files(self, before_us: int) -> int:
        """Files that came before then and that no question is about. Returns how many."""
        used = select(node_files.c.file_id)
        with self.writing() as db:
            return db.execute(delete(files).where(files.c.created_us < before_us, files.c.id.not_in(used))).rowcount

    def get(self, owner: str, conversation_id: str) -> tuple[Conversation, list[Node]]:
        """A conversation and all its nodes, in the order in which they were made.

        Raises: NoSuchConversation.
        """
        with self.reading() as db:
            found = conversation_of(_owned(db, owner, conversation_id))
            return found, select_nodes(db, nodes.c.conversation_id == conversation_id)

    def find_conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Raises: NoSuchConversation."""
        with self.reading() as db:
            return conversation_of(_owned(db, owner, conversation_id))

    def open_answers(self, owner: str, conversation_id: str) -> set[str]:
        """Ids of the answers that are still to come. Raises: NoSuchConversation."""
        of_it = (nodes.c.conversation_id == conversation_id) & nodes.c.status.in_(("queued", "running"))
        with self.reading() as db:
            _owned(db, owner, conversation_id)
            return set(db.execute(select(nodes.c.id).where(of_it)).scalars())

    def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Raises: NoSuchConversation, UsageError."""
        named = checked_title(title)
        with self.writing() as db:
            _owned(db, owner, conversation_id)
            _update(db, conversation_id, title=named, is_titled=True)

    def show(self, owner: str, conversation_id: str, node_id: str) -> None:
        """Show the branch that `node_id` is part of, as far as it goes.

        Raises: NoSuchConversation, NoSuchNode.
        """
        with self.writing() as db:
            _owned(db, owner, conversation_id)
            _node_in(db, conversation_id, node_id)
            line = select_nodes(db, nodes.c.conversation_id == conversation_id, is_brief=True)
            _update(db, conversation_id, leaf=newest_leaf(line, node_id))

    def delete(self, owner: str, conversation_id: str) -> list[str]:
        """With all its nodes, and the files that nothing else is about. Returns the traces of its answers.

        Raises: NoSuchConversation.
        """
        with self.writing() as db:
            _owned(db, owner, conversation_id)
            of_it = select(nodes.c.id).where(nodes.c.conversation_id == conversation_id)
            traces = db.execute(select(nodes.c.trace_id).where(nodes.c.id.in_(of_it), nodes.c.trace_id.is_not(None)))
            found = [str(trace_id) for trace_id in traces.scalars() if trace_id]
            used = db.execute(select(node_files.c.file_id).where(node_files.c.node_id.in_(of_it))).scalars().all()
            db.execute(delete(node_files).where(node_files.c.node_id.in_(of_it)))
            db.execute(delete(runs).where(runs.c.node_id.in_(of_it)))
            db.execute(delete(nodes).where(nodes.c.conversation_id == conversation_id))
            db.execute(delete(conversations).where(conversations.c.id == conversation_id))
            still = select(node_files.c.file_id)
            db.execute(delete(files).where(files.c.id.in_(used), files.c.id.not_in(still)))
            return found

    # ---- questions and answers

    def ask(
        self,
        owner: str,
        conversation_id: str,
        parent: str | None,
        content: str,
        settings: TurnSettings,
        *,
        seed: int,
        key_id: str = "",
        file_ids: Sequence[str] = (),
    ) -> Asked:
        """Keep a question and the wish for its answer, durably, before anything runs.

        Raises: NoSuchConversation, NoSuchNode, StillAnswering, UsageError.
        """
        content = checked_content(content, "question")
        if len(file_ids) > MAX_FILES:
            raise UsageError(f"{len(file_ids)} files are more than {MAX_FILES}", "ask about fewer at once")
        with self.writing() as db:
            row = _owned(db, owner, conversation_id)
            if parent is not None:
                _refuse_parent(_node_in(db, conversation_id, parent))
            _refuse_more(db, conversation_id)
            found = [_file(db, owner, file_id) for file_id in dict.fromkeys(file_ids)]
            user = Node(new_id("n"), conversation_id, parent, "user", content, self.now_us(), files=tuple(found))
            insert_nodes(db, [user])
            answer = self._wish(db, user, settings, Pending(owner, user, seed, key_id=key_id))
            title = "" if row["is_titled"] else title_of(content)
            changes: dict[str, Any] = {"title": title, "is_titled": True} if title else {}
            _update(db, conversation_id, n_turns=row["n_turns"] + 1, **changes)
        return Asked(user, answer)

    def again(
        self,
        owner: str,
        conversation_id: str,
        node_id: str,
        given: TurnSettings,
        *,
        seed: int,
        key_id: str = "",
        thought: str | None = None,
    ) -> Pending:
        """Another answer to the question of `node_id`, which is the question or an answer to it. Settings that are not
        given are those of that answer.

        Raises: NoSuchConversation, NoSuchNode, UsageError.
        """
        with self.writing() as db:
            _owned(db, owner, conversation_id)
            node = _node_in(db, conversation_id, node_id)
            _refuse_more(db, conversation_id)
            made = node if node.edited_from is None else _node_in(db, conversation_id, node.edited_from)
            settings = given if made.settings is None else made.settings.changed_by(given)
            if made.settings is not None and "seed" not in given.model_fields_set:
                settings = settings.model_copy(update={"seed": None})  # else it would be the same answer
            if settings.seed is not None:
                seed = settings.seed
            question = node if node.role == "user" else _node_in(db, conversation_id, node.parent or "")
            thought = None if thought is None else clean(thought)
            return self._wish(db, question, settings, Pending(owner, question, seed, thought, key_id))

    def edit(self, owner: str, conversation_id: str, node_id: str, content: str) -> Node:
        """An answer beside that of `node_id` with the text that a person gave it. A text that is there already (it was
        not changed, or changed back, or sent twice) is shown and not kept twice.

        Raises: NoSuchConversation, NoSuchNode, StillAnswering, UsageError.
        """
        content = checked_content(content, "answer")
        with self.writing() as db:
            _owned(db, owner, conversation_id)
            node = _node_in(db, conversation_id, node_id)
            if node.role != "assistant":
                raise UsageError("that message is a question", "a question is changed by asking another one beside it")
            _refuse_open(node)
            line = select_nodes(db, nodes.c.conversation_id == conversation_id, is_brief=True)
            beside = (one for one in line if one.parent == node.parent and one.role == "assistant")
            same = node.id if _is_same(node.content, content) else None
            same = same or next((one.id for one in beside if _is_same(one.content, content)), None)
            now = self.now_us()
            if same is None:
                _refuse_more(db, conversation_id)
                made_by = node.edited_from or node.id
                kept = Node(new_id("n"), conversation_id, node.parent, "assistant", content, now, edited_from=made_by)
                insert_nodes(db, [kept])
            else:
                kept = _node_in(db, conversation_id, same)
            _update(db, conversation_id, leaf=newest_leaf(line, kept.id), updated_us=now)
        return kept

    def settings_of(self, owner: str, node_id: str) -> TurnSettings | None:
        """How an answer was made; of one that a person edited, the model's that it was. Raises: NoSuchNode."""
        node = self.find(owner, node_id)
        return node.settings if node.edited_from is None else self.find(owner, node.edited_from).settings

    def find(self, owner: str, node_id: str) -> Node:
        """Raises: NoSuchNode."""
        with self.reading() as db:
            owned = select(conversations.c.id).where(conversations.c.owner == owner)
            found = select_nodes(db, (nodes.c.id == node_id) & nodes.c.conversation_id.in_(owned))
        if not found:
            raise NoSuchNode(f"there is no message {node_id!r}", "it may have been deleted")
        return found[0]

    def line(self, node_id: str) -> list[Node]:
        """The branch from its root to `node_id`, without results. Raises: NoSuchNode."""
        up = select(nodes.c.id, nodes.c.parent, literal(0).label("depth")).where(nodes.c.id == node_id)
        above = up.cte("above", recursive=True)
        above = above.union_all(
            select(nodes.c.id, nodes.c.parent, above.c.depth + 1).where(
                nodes.c.id == above.c.parent, above.c.depth < MAX_NODES
            )
        )
        with self.reading() as db:
            found = {node.id: node for node in select_nodes(db, nodes.c.id.in_(select(above.c.id)), is_brief=True)}
            depths = db.execute(select(above.c.id, above.c.depth)).all()
        if node_id not in found:
            raise NoSuchNode(f"there is no message {node_id!r}", "it may have been deleted")
        return [found[at] for at, _ in sorted(depths, key=lambda d: -d[1])]

    def texts(self, file_ids: Iterable[str]) -> dict[str, str]:
        """What was read of files, by id."""
        with self.reading() as db:
            rows = db.execute(select(files.c.id, files.c.text).where(files.c.id.in_(list(file_ids)))).all()
        return {row[0]: row[1] for row in rows}

    def _wish(self, db: Connection, question: Node, settings: TurnSettings, wish: Pending) -> Pending:
        """Keep the answer that is to come to `question`; `wish` is it in all but its node."""
        now = self.now_us()
        node = Node(
            new_id("n"), question.conversation, question.id, "assistant", "", now, status="queued", settings=settings
        )
        insert_nodes(db, [node])
        db.execute(
            insert(runs).values(
                node_id=node.id,
                owner=wish.owner,
                key_id=wish.key_id,
                seed=wish.seed,
                thought=wish.thought,
                n_attempts=0,
                n_crashes=0,
                holder=self.holder,
                seen_us=now,
            )
        )
        changes: dict[str, Any] = {"model": settings.model} if settings.model else {}
        _update(db, node.conversation, leaf=node.id, updated_us=now, **changes)
        return replace(wish, node=node)


@contextmanager
def _transaction(engine: Engine, what: str) -> Generator[Connection]:
    with database_errors(what), engine.begin() as db:
        yield db


def _update(db: Connection, conversation_id: str, **changes: Any) -> None:
    db.execute(update(conversations).where(conversations.c.id == conversation_id).values(**changes))


def _owned(db: Connection, owner: str, conversation_id: str) -> RowMapping:
    mine = (conversations.c.id == conversation_id) & (conversations.c.owner == owner)
    row = db.execute(select(conversations).where(mine)).mappings().first()
    if row is None:
        raise NoSuchConversation(f"there is no conversation {conversation_id!r}", "it may have been deleted")
    return row


def _node_in(db: Connection, conversation_id: str, node_id: str) -> Node:
    found = select_nodes(db, (nodes.c.id == node_id) & (nodes.c.conversation_id == conversation_id))
    if not found:
        raise NoSuchNode(f"this conversation has no message {node_id!r}", "reload it")
    return found[0]


def _file(db: Connection, owner: str, file_id: str) -> FileRef:
    row = db.execute(select(files).where(files.c.id == file_id, files.c.owner == owner)).mappings().first()
    if row is None:
        raise UsageError(f"there is no file {file_id!r}", "send it again")
    return file_of(row)


def _refuse_parent(parent: Node) -> None:
    if parent.role != "assistant":
        raise UsageError("a question can only follow an answer", "its parent is an answer, or null")
    _refuse_open(parent)


def _refuse_open(answer: Node) -> None:
    if answer.is_open:
        raise StillAnswering("that answer is not there yet", "stop it, or wait for it")


def _refuse_more(db: Connection, conversation_id: str) -> None:
    n = db.execute(select(func.count()).where(nodes.c.conversation_id == conversation_id)).scalar_one()
    if n + 2 > MAX_NODES:
        raise UsageError(f"this conversation has {n} messages, which are the most it can hold", "begin another one")


def _is_same(text: str, other: str) -> bool:
    """However their lines end: a browser's text box has an end of its own."""
    return _lines(text) == _lines(other)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
