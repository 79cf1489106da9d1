"""What keys, limits and the ledger cost a request: microseconds to let it in, and to write it down.

    python bench/accounts.py                       # SQLite in a folder that goes away
    python bench/accounts.py --database postgresql://…/empty

The key and its workspace have all four limits, and the model has a price. A settled row outlives the process; the last
line says how many rows a second the database takes meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from table import machine, show

from bethink.server.accounts import Accounts, Limits, Price, Principal, UsageLine

LIMITS = Limits(10**9, 10**12, 10**6, 10**15)
ALONE = 1000
SECONDS = 4.0


def line(name: str) -> UsageLine:
    return UsageLine(name, "m", "openai", "ok", int(time.time() * 1e6), 200, 50, 300, 60, 5, 10, 900_000)


def percentiles(seconds: list[float], unit: float) -> list[str]:
    ranked = sorted(seconds)
    return [f"{unit * ranked[int(share * (len(ranked) - 1))]:.1f}" for share in (0.5, 0.95, 0.99)]


async def let_in(accounts: Accounts, secret: str) -> list[float]:
    """`identify` and `admit` together."""
    taken: list[float] = []
    for _ in range(20 * ALONE):
        began = time.perf_counter()
        ticket = await accounts.admit(accounts.identify(secret), "m", 500)
        taken.append(time.perf_counter() - began)
        ticket.release()
    return taken


async def settle_alone(accounts: Accounts, principal: Principal) -> list[float]:
    taken: list[float] = []
    for n in range(ALONE):
        ticket = await accounts.admit(principal, "m", 500)
        began = time.perf_counter()
        ticket.settle(line(f"alone-{began}-{n}"))
        taken.append(time.perf_counter() - began)
    return taken


async def rows_per_s(accounts: Accounts, principal: Principal) -> float:
    """As fast as they can be settled, until the database has them all."""
    began, n_rows = time.perf_counter(), 20 * ALONE
    for n in range(n_rows):
        (await accounts.admit(principal, "m", 500)).settle(line(f"many-{began}-{n}"))
    await asyncio.to_thread(accounts.usage, "day")  # waits for them
    return n_rows / (time.perf_counter() - began)


async def settle_at(accounts: Accounts, principal: Principal, per_s: int) -> list[float]:
    """Requests that end at a steady pace, whatever the ledger does."""
    taken: list[float] = []

    async def one(number: int) -> None:
        ticket = await accounts.admit(principal, "m", 500)
        began = time.perf_counter()
        ticket.settle(line(f"pace-{number}-{began}"))
        taken.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_s * SECONDS)):
            group.create_task(one(number))
            await asyncio.sleep(1 / per_s)
    return taken


async def measure(accounts: Accounts) -> list[list[str]]:
    made = accounts.directory.create_key(f"bench {time.time()}", limits=LIMITS)
    accounts.directory.change_workspace("default", limits=LIMITS)
    if not accounts.prices.list():
        accounts.prices.add(Price("m", datetime(2020, 1, 1, tzinfo=UTC), *map(Decimal, ("0.5", "0.1", "2", "2"))))
    principal = accounts.identify(made.secret)
    rows = [["identify and admit, µs", *percentiles(await let_in(accounts, made.secret), 1e6), ""]]
    alone = await settle_alone(accounts, principal)
    rows.append(["settle, µs", *percentiles(alone, 1e6), f"{1 / statistics.mean(alone):,.0f}"])
    paced = await settle_at(accounts, principal, 200)
    rows.append(["settle, 200 a second, µs", *percentiles(paced, 1e6), "200"])
    rows.append(["into the database", "", "", "", f"{await rows_per_s(accounts, principal):,.0f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="URL")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as folder,
        Accounts.open(chosen.database, Path(folder)) as accounts,
    ):
        rows = asyncio.run(measure(accounts))
    print(machine())
    show("keys, limits and the ledger", ["", "p50", "p95", "p99", "a second"], rows)


if __name__ == "__main__":
    main()
