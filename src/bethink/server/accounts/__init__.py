"""Keys, quotas and usage of a server: who may ask, how much of it, and what it came to. Knows no HTTP.

`Accounts` is the door; `FairQueue` decides who is next when the engine is full.
"""

from __future__ import annotations

from bethink.server.accounts.accounts import Accounts, Ticket
from bethink.server.accounts.directory import DEFAULT_SCOPES, Directory
from bethink.server.accounts.fair import FairQueue, Pass
from bethink.server.accounts.prices import Price
from bethink.server.accounts.reconcile import Difference, Reconciliation
from bethink.server.accounts.usage import By, LedgerRow, UsageRow, write_csv
from bethink.server.accounts.values import (
    LOCAL,
    SCOPES,
    Clock,
    Key,
    Limits,
    NewKey,
    Principal,
    Scope,
    UsageLine,
    User,
    Workspace,
    as_time,
    as_us,
)

__all__ = [
    "DEFAULT_SCOPES",
    "LOCAL",
    "SCOPES",
    "Accounts",
    "By",
    "Clock",
    "Difference",
    "Directory",
    "FairQueue",
    "Key",
    "LedgerRow",
    "Limits",
    "NewKey",
    "Pass",
    "Price",
    "Principal",
    "Reconciliation",
    "Scope",
    "Ticket",
    "UsageLine",
    "UsageRow",
    "User",
    "Workspace",
    "as_time",
    "as_us",
    "write_csv",
]
