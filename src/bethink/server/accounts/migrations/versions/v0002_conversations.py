"""Conversations of the chat page, their files and unfinished answers, the index they are searched by, and logins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ADD = "INSERT INTO bt_search(rowid, content) VALUES (new.seq, new.content);"
TAKE = "INSERT INTO bt_search(bt_search, rowid, content) VALUES ('delete', old.seq, old.content);"
SEARCH = (
    "CREATE VIRTUAL TABLE bt_search USING fts5(content, content='bt_nodes', content_rowid='seq', tokenize='trigram')",
    f"CREATE TRIGGER bt_search_insert AFTER INSERT ON bt_nodes BEGIN {ADD} END",
    f"CREATE TRIGGER bt_search_delete AFTER DELETE ON bt_nodes BEGIN {TAKE} END",
    f"CREATE TRIGGER bt_search_update AFTER UPDATE OF content ON bt_nodes BEGIN {TAKE} {ADD} END",
)
"""SQLite finds parts of words through trigrams; PostgreSQL reads the messages."""


def upgrade() -> None:
    _create_conversations()
    _create_files()
    _create_runs()
    _create_sessions()
    if op.get_bind().dialect.name == "sqlite":
        for statement in SEARCH:
            op.execute(statement)


def _create_conversations() -> None:
    op.create_table(
        "bt_conversations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("is_titled", sa.Boolean(), nullable=False),
        sa.Column("leaf", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("n_turns", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bt_conversations"),
    )
    op.create_index("ix_bt_conversations_owner", "bt_conversations", ["owner", "updated_us", "id"])
    op.create_table(
        "bt_nodes",
        sa.Column("seq", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("thinking", sa.Text(), nullable=True),
        sa.Column("settings", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("trace_id", sa.String(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_bt_nodes"),
        sa.UniqueConstraint("id", name="uq_bt_nodes_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["bt_conversations.id"], name="fk_bt_nodes_conversation_id"),
    )
    op.create_index("ix_bt_nodes_conversation_id", "bt_nodes", ["conversation_id"])
    op.create_index("ix_bt_nodes_trace_id", "bt_nodes", ["trace_id"])


def _create_files() -> None:
    op.create_table(
        "bt_files",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("chars", sa.Integer(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bt_files"),
    )
    op.create_table(
        "bt_node_files",
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "place", name="pk_bt_node_files"),
        sa.ForeignKeyConstraint(["node_id"], ["bt_nodes.id"], name="fk_bt_node_files_node_id"),
        sa.ForeignKeyConstraint(["file_id"], ["bt_files.id"], name="fk_bt_node_files_file_id"),
    )
    op.create_index("ix_bt_node_files_file_id", "bt_node_files", ["file_id"])


def _create_runs() -> None:
    op.create_table(
        "bt_runs",
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("thought", sa.Text(), nullable=True),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("n_crashes", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node_id", name="pk_bt_runs"),
        sa.ForeignKeyConstraint(["node_id"], ["bt_nodes.id"], name="fk_bt_runs_node_id"),
    )


def _create_sessions() -> None:
    op.create_table(
        "bt_sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_bt_sessions"),
        sa.ForeignKeyConstraint(["key_id"], ["bt_keys.id"], name="fk_bt_sessions_key_id"),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for what in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER bt_search_{what}")
        op.execute("DROP TABLE bt_search")
    for table in ("sessions", "runs", "node_files", "files", "nodes", "conversations"):
        op.drop_table(f"bt_{table}")
