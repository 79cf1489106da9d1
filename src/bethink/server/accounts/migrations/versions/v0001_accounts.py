"""Workspaces, users, keys, the ledger of usage, its sums by month, prices; and the workspaces `local` and `default`."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency", "tokens_per_month")


def upgrade() -> None:
    _create_people()
    _create_ledger()
    now_us = int(time.time() * 1e6)
    op.execute("INSERT INTO bt_state (name, value) VALUES ('revision', 1)")
    for name in ("local", "default"):
        op.execute(
            "INSERT INTO bt_workspaces (id, name, logs_content, created_us) "
            f"VALUES ('{name}', '{name}', false, {now_us})"
        )


def _limits() -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in LIMITS]


def _create_people() -> None:
    op.create_table(
        "bt_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_bt_state"),
    )
    op.create_table(
        "bt_workspaces",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("logs_content", sa.Boolean(), nullable=False),
        *_limits(),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bt_workspaces"),
        sa.UniqueConstraint("name", name="uq_bt_workspaces_name"),
    )
    op.create_table(
        "bt_users",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bt_users"),
        sa.ForeignKeyConstraint(["workspace_id"], ["bt_workspaces.id"], name="fk_bt_users_workspace_id"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_bt_users_workspace_id"),
    )
    op.create_table(
        "bt_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("previous_digest", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until_us", sa.BigInteger(), nullable=True),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("models", sa.String(), nullable=True),
        *_limits(),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_bt_keys"),
        sa.ForeignKeyConstraint(["workspace_id"], ["bt_workspaces.id"], name="fk_bt_keys_workspace_id"),
        sa.ForeignKeyConstraint(["user_id"], ["bt_users.id"], name="fk_bt_keys_user_id"),
    )
    in_use = sa.text("revoked_us IS NULL")
    op.create_index(
        "uq_bt_keys_name_in_use",
        "bt_keys",
        ["workspace_id", "name"],
        unique=True,
        sqlite_where=in_use,
        postgresql_where=in_use,
    )


def _create_ledger() -> None:
    counts = ("input", "cached", "thinking", "answer", "probe", "discarded")
    op.create_table(
        "bt_ledger",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        *[sa.Column(f"{name}_tokens", sa.BigInteger(), nullable=False) for name in counts],
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("finished_us", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_bt_ledger"),
        sa.ForeignKeyConstraint(["workspace_id"], ["bt_workspaces.id"], name="fk_bt_ledger_workspace_id"),
        sa.ForeignKeyConstraint(["key_id"], ["bt_keys.id"], name="fk_bt_ledger_key_id"),
        sa.UniqueConstraint("request_id", name="uq_bt_ledger_request_id"),
    )
    op.create_index("ix_bt_ledger_finished_us", "bt_ledger", ["finished_us"])
    op.create_table(
        "bt_months",
        sa.Column("scope_id", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "month", name="pk_bt_months"),
    )
    op.create_table(
        "bt_prices",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("valid_from_us", sa.BigInteger(), nullable=False),
        *[
            sa.Column(f"{name}_micro", sa.BigInteger(), nullable=False)
            for name in ("input", "cached", "thinking", "answer")
        ],
        sa.PrimaryKeyConstraint("model", "valid_from_us", name="pk_bt_prices"),
    )


def downgrade() -> None:
    for table in ("bt_prices", "bt_months", "bt_ledger", "bt_keys", "bt_users", "bt_workspaces", "bt_state"):
        op.drop_table(table)
