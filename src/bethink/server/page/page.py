"""`Page`: what the chat page's routes work with, beside the service that answers every client.

Owns the life of it: opened with the server, taken up where the last process stopped, closed with what is unfinished
written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from sqlalchemy import Engine

from bethink.config import Settings
from bethink.errors import BethinkError
from bethink.server.accounts.sessions import Sessions
from bethink.server.conversations.detached import Detached
from bethink.server.conversations.holders import is_alive, this_process
from bethink.server.conversations.progress import Progress
from bethink.server.conversations.starting import Runs
from bethink.server.conversations.storage import Conversations
from bethink.server.page.jobs import Jobs
from bethink.server.running.service import Service

MOST_PDFS = 2
"""Read at once: each may take a processor and a gigabyte."""
MOST_PASSWORDS = 2
"""Looked at together: each takes a processor and 16 MB, on purpose."""
TAKE_UP_S = 15.0
"""How often a look is taken for answers whose process is gone."""


@dataclass(slots=True)
class Page:
    service: Service
    settings: Settings
    conversations: Conversations
    detached: Detached
    sessions: Sessions
    jobs: Jobs = field(default_factory=Jobs)
    reading_pdfs: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_PDFS))
    checking_passwords: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_PASSWORDS))

    @classmethod
    def of(cls, service: Service, database: Engine, settings: Settings) -> Page:
        """A page over a service, with its conversations in the database of keys and usage, which whoever opened it
        closes."""
        conversations = Conversations(database, this_process())
        sessions = Sessions(database)
        return cls(
            service, settings, conversations, Detached(Runs(service), Progress(conversations, is_alive)), sessions
        )

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncGenerator[None]:
        """While the server runs."""
        ends = asyncio.Event()
        taking_up = asyncio.create_task(self._take_up(ends))
        try:
            yield
        finally:
            ends.set()
            await taking_up  # not cancelled: a look in its thread would claim what is released below
            await self.detached.close()
            await self.jobs.close()

    async def _take_up(self, ends: asyncio.Event) -> None:
        log = logging.getLogger("bethink")
        while not ends.is_set():
            try:
                if n := await self.detached.take_up():
                    log.info("%d interrupted answers go on", n)
            except BethinkError as error:
                log.warning("interrupted answers cannot be looked for: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ends.wait(), TAKE_UP_S)
