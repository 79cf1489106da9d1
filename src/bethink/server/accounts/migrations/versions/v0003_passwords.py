"""Passwords of users, each with the key that it logs in as."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bt_passwords",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("hashed", sa.String(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_bt_passwords"),
        sa.UniqueConstraint("key_id", name="uq_bt_passwords_key_id"),
        sa.ForeignKeyConstraint(["user_id"], ["bt_users.id"], name="fk_bt_passwords_user_id"),
        sa.ForeignKeyConstraint(["key_id"], ["bt_keys.id"], name="fk_bt_passwords_key_id"),
    )


def downgrade() -> None:
    op.drop_table("bt_passwords")
