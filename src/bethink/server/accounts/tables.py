"""The tables, as the newest migration leaves them (a test holds the two equal).

All names begin with `bt_`, so that a company may put them beside its own. Times are microseconds since the epoch, money
and tokens are integers: nothing here is a float.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

state = Table(
    "bt_state",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`revision` grows with every change of workspaces, keys and prices: by it servers see that they must read again."""


def _limits() -> list[Column[int]]:
    names = ("requests_per_minute", "tokens_per_minute", "concurrency", "tokens_per_month")
    return [Column(name, BigInteger, nullable=True) for name in names]


workspaces = Table(
    "bt_workspaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("logs_content", Boolean, nullable=False),
    *_limits(),
    Column("created_us", BigInteger, nullable=False),
)

users = Table(
    "bt_users",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, ForeignKey("bt_workspaces.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

keys = Table(
    "bt_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace_id", String, ForeignKey("bt_workspaces.id"), nullable=False),
    Column("user_id", String, ForeignKey("bt_users.id"), nullable=True),
    Column("name", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("previous_digest", LargeBinary, nullable=True),
    Column("previous_until_us", BigInteger, nullable=True),
    Column("scopes", String, nullable=False),
    Column("models", String, nullable=True),
    *_limits(),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=True),
    Column("revoked_us", BigInteger, nullable=True),
)
"""`scopes` are joined by spaces, `models` by newlines (None: all). After a rotation the previous secret may hold on
until `previous_until_us`."""

Index(
    "uq_bt_keys_name_in_use",
    keys.c.workspace_id,
    keys.c.name,
    unique=True,
    sqlite_where=text("revoked_us IS NULL"),
    postgresql_where=text("revoked_us IS NULL"),
)

ledger = Table(
    "bt_ledger",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("request_id", String, nullable=False, unique=True),
    Column("trace_id", String, nullable=False),
    Column("workspace_id", String, ForeignKey("bt_workspaces.id"), nullable=False),
    Column("key_id", String, ForeignKey("bt_keys.id"), nullable=True),
    Column("model", String, nullable=False),
    Column("dialect", String, nullable=False),
    Column("status", String, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("thinking_tokens", BigInteger, nullable=False),
    Column("answer_tokens", BigInteger, nullable=False),
    Column("probe_tokens", BigInteger, nullable=False),
    Column("discarded_tokens", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger, nullable=False, index=True),
    Column("cost_nano", BigInteger, nullable=True),
)
"""One row for each finished request. `key_id` is null for the person on this machine, `cost_nano` (10⁻⁹ of the unit
that prices are in) where the model had no price then."""

months = Table(
    "bt_months",
    metadata,
    Column("scope_id", String, primary_key=True),
    Column("month", String, primary_key=True),
    Column("tokens", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)
"""The ledger summed by key and by workspace, written with it: what monthly limits are held against."""

prices = Table(
    "bt_prices",
    metadata,
    Column("model", String, primary_key=True),
    Column("valid_from_us", BigInteger, primary_key=True),
    Column("input_micro", BigInteger, nullable=False),
    Column("cached_micro", BigInteger, nullable=False),
    Column("thinking_micro", BigInteger, nullable=False),
    Column("answer_micro", BigInteger, nullable=False),
)
"""Millionths of the unit of money, for a million tokens."""

sessions = Table(
    "bt_sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("key_id", String, ForeignKey("bt_keys.id"), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)
"""Logins of the page: the hash of what a cookie holds, and the key that was shown for it."""

passwords = Table(
    "bt_passwords",
    metadata,
    Column("user_id", String, ForeignKey("bt_users.id"), primary_key=True),
    Column("key_id", String, ForeignKey("bt_keys.id"), nullable=False, unique=True),
    Column("hashed", String, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
"""`hashed` names its own parameters and salt (`hashing`). `key_id` is what the password logs in as: a key whose secret
nobody has, so that limits, models, expiry and the ledger know people as they know programs."""
