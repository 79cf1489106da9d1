"""Settles requests until it is killed, and prints the id of each after it was settled. Run with a URL and a home."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bethink.server.accounts import LOCAL, Accounts, UsageLine


async def client(accounts: Accounts, name: str) -> None:
    n_settled = 0
    while True:
        ticket = await accounts.admit(LOCAL, "m", 10)
        request_id = f"{name}-{n_settled}"
        ticket.settle(UsageLine(request_id, "m", "openai", "ok", 1_795_600_000_000_000, input_tokens=7))
        sys.stdout.write(f"{request_id}\n")
        sys.stdout.flush()
        n_settled += 1
        await asyncio.sleep(0)


async def run(url: str, home: str, prefix: str) -> None:
    with Accounts.open(url, Path(home)) as accounts:
        await asyncio.gather(*(client(accounts, f"{prefix}-{n}") for n in range(8)))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
