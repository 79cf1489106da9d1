"""Answers whose text a person changed, each beside the model's that it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bt_nodes", sa.Column("edited_from", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("bt_nodes", "edited_from")
