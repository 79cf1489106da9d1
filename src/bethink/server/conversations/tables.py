"""The tables of conversations, as the newest migration leaves them.

Names begin with `bt_`; times are microseconds since the epoch; JSON is kept as text, since it is only ever read whole.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from bethink.server.accounts.tables import metadata

BIG = BigInteger().with_variant(Integer, "sqlite")

conversations = Table(
    "bt_conversations",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("title", String, nullable=False),
    Column("is_titled", Boolean, nullable=False),
    Column("leaf", String, nullable=True),
    Column("model", String, nullable=True),
    Column("n_turns", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)
"""`is_titled`: its title was given or found, and no question changes it any more."""
Index("ix_bt_conversations_owner", conversations.c.owner, conversations.c.updated_us, conversations.c.id)

nodes = Table(
    "bt_nodes",
    metadata,
    Column("seq", BIG, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("conversation_id", String, ForeignKey("bt_conversations.id"), nullable=False, index=True),
    Column("parent", String, nullable=True),
    Column("role", String, nullable=False),
    Column("status", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("thinking", Text, nullable=True),
    Column("settings", Text, nullable=True),
    Column("result", Text, nullable=True),
    Column("error", Text, nullable=True),
    Column("trace_id", String, nullable=True, index=True),
    Column("created_us", BigInteger, nullable=False),
    Column("edited_from", String, nullable=True),
)
"""`seq` is the order in which they were made."""

files = Table(
    "bt_files",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("chars", Integer, nullable=False),
    Column("cut", Text, nullable=True),
    Column("text", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

node_files = Table(
    "bt_node_files",
    metadata,
    Column("node_id", String, ForeignKey("bt_nodes.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("file_id", String, ForeignKey("bt_files.id"), nullable=False, index=True),
)

runs = Table(
    "bt_runs",
    metadata,
    Column("node_id", String, ForeignKey("bt_nodes.id"), primary_key=True),
    Column("owner", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("thought", Text, nullable=True),
    Column("n_attempts", Integer, nullable=False),
    Column("n_crashes", Integer, nullable=False),
    Column("holder", String, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("kept", Text, nullable=True),
)
"""One row for each answer that is still to come; it goes with the answer's arrival. `n_attempts` counts the processes
that made it before, `n_crashes` how many of them died over it. `holder` is the process that makes it, `seen_us` when
that last said that it lives, `kept` what was written down of the run. `key_id` is whose right to ask it was
(empty: the person on this machine)."""
