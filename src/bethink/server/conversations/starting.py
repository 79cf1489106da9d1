"""The one way in which the page starts a run: admitted, held and settled as every other request.

Owns nothing but that seam, so that admission and the ledger are wired in one place.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from bethink.model import Model, Run
from bethink.server.answering import Answering
from bethink.server.asks import Ask
from bethink.server.service import Service
from bethink.types import Request


@dataclass(slots=True)
class Runs:
    """Starts runs on the models of a service."""

    service: Service

    def resolve(self, model: str) -> str:
        """Raises: UnknownModel."""
        return self.service.pool.resolve(model)

    @contextlib.asynccontextmanager
    async def started(self, answer_id: str, model: str, request_of: Callable[[Model], Request]) -> AsyncGenerator[Run]:
        """A run of what `request_of` makes of the loaded model, while it is held. `answer_id` is what it is listed by.

        Raises: BethinkError.
        """
        async with self.service.pool.hold(self.resolve(model)) as held:
            request = request_of(held)
            answering = Answering(answer_id, Ask(model, request), runs=[held.think(request)])
            with self.service.running.listed(answering):
                yield answering.runs[0]
