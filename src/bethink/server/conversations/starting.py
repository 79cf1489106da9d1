"""The one way in which the page starts a run: allowed, in its turn, held and settled as every other request.

Owns nothing but that seam. Each attempt at an answer is a line of the ledger of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from bethink.model import Model, Run
from bethink.server.accounts import LOCAL, Principal
from bethink.server.asking.asks import Ask
from bethink.server.conversations.values import Pending
from bethink.server.record import Record
from bethink.server.running.answering import Answering
from bethink.server.running.service import Service
from bethink.types import Request

DIALECT = "page"


@dataclass(slots=True)
class Runs:
    """Starts runs on the models of a service."""

    service: Service

    @property
    def is_draining(self) -> bool:
        return self.service.stopping.is_draining

    def check(self, model: str, who: Principal) -> None:
        """Whether that model may be asked now.

        Raises: UnknownModel, ModelNotAllowed, ScopeMissing, Draining.
        """
        record = Record(principal=who, dialect=DIALECT)
        self.service.begin(Ask(model, Request(())), record)

    def answering(self, pending: Pending, request: Request, *, n_attempts: int) -> Answering:
        """An attempt at an answer, named and allowed. Its trace is kept where the workspace keeps what is written, and
        on the asker's own machine, until the conversation is deleted.

        Raises: UnknownModel, ModelNotAllowed, ScopeMissing, Draining, UnknownKey, RevokedKey, ExpiredKey.
        """
        name = pending.node.id if n_attempts == 0 else f"{pending.node.id}-{n_attempts + 1}"
        record = Record(id=name, dialect=DIALECT, principal=self._principal(pending.key_id), is_streamed=True)
        settings = pending.node.settings
        answering = self.service.begin(Ask((settings.model if settings else None) or "", request), record)
        if answering.principal.is_local:
            answering.principal = replace(answering.principal, logs_content=True)
        return answering

    @contextlib.asynccontextmanager
    async def started(self, answering: Answering, request_of: Callable[[Model], Request]) -> AsyncGenerator[Run]:
        """A run of what `request_of` makes of the loaded model, settled when it is left.

        Raises: BethinkError.
        """
        async with self.service.started(answering, request_of) as run:
            yield run

    def _principal(self, key_id: str) -> Principal:
        accounts = self.service.admission.accounts
        return LOCAL if accounts is None else accounts.principal(key_id)
