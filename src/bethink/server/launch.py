"""`launch`: a server from what its operator chose, until it is told to stop.

Owns the order of things: the port and the right to open it first, then the ledger, then models, so that what cannot
work fails before anything heavy is loaded. What always holds: nobody but this machine is let in without keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

from bethink.config import Settings
from bethink.errors import AccessError
from bethink.model import Model
from bethink.server.accounts import Accounts
from bethink.server.app import Surroundings, create_app
from bethink.server.door.guard import Doors
from bethink.server.door.keys import Keys
from bethink.server.limits import Limits
from bethink.server.listening import Serving, Stopping, bind, is_loopback, serve
from bethink.server.page.page import Page
from bethink.server.record import Record
from bethink.server.running.admission import Admission
from bethink.server.running.cards import Card
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service
from bethink.server.watching.logs import Log, LogFormat, all_in
from bethink.server.watching.metrics import Metrics
from bethink.server.watching.spans import open_spans

CREATE_ADMIN = "bethink keys create admin --scope admin"


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator may choose. Seconds where it says so; `parallel` requests run at once on each model."""

    host: str = "127.0.0.1"
    port: int = 8114
    requires_key: bool = False
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    trusts_proxy: bool = False
    database: str | None = None
    parallel: int = 32
    keep_s: float | None = 900.0
    drain_s: float = 30.0
    log_format: LogFormat = "text"
    shows_values: bool = False
    traces_spans: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Models:
    """`names` are canonical, the first answers where no model is named; `prepare` loads those that are to be warm.
    `load` and `known` are the pool's."""

    names: Sequence[str]
    load: Callable[[str], Model]
    known: Callable[[], tuple[str, ...]]
    prepare: Callable[[], Mapping[str, Model]]
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    card: Callable[[str], Card] = Card


@dataclass(frozen=True, slots=True)
class Open:
    """What is said when the server listens."""

    url: str
    needs_key: bool
    models: Mapping[str, Model]
    is_loopback: bool


def launch(choices: Choices, models: Models, settings: Settings, on_open: Callable[[Open], None]) -> bool:
    """Serve until a signal. False: running requests were cut off by a second one.

    Raises: UsageError, NobodyMayAsk, AccountsError, StoreError, EngineError.
    """
    with (
        _bound(choices) as sockets,
        Accounts.open(choices.database or settings.database, settings.home) as accounts,
        _log(choices) as log,
        _spans(choices) as span,
    ):
        why = _why_key(choices, is_local=is_loopback(sockets))
        needs_key = bool(why)
        if needs_key and not accounts.has_admin_key():
            raise NobodyMayAsk(f"{why} needs an administrator's key, and there is none", CREATE_ADMIN)
        loaded = models.prepare()
        service = _service(choices, models, accounts, log)
        for name, model in loaded.items():
            service.pool.add(name, model)
        doors = Doors(is_loopback=is_loopback(sockets), hosts=choices.hosts, origins=choices.origins)

        def over(record: Record) -> None:
            log.request(record)
            span(record)

        metrics = Metrics()
        service.pool.on_change = metrics.changed
        page = Page.of(service, accounts.engine, settings)
        around = Surroundings(doors, Keys(accounts, needs_key, page.sessions), metrics, over, settings.home)
        opened = Open(_url(choices.host, sockets), needs_key, loaded, is_loopback(sockets))
        _serve(choices, service, around, page, sockets, log, lambda: on_open(opened))
        return not service.stopping.is_forced


class NobodyMayAsk(AccessError):
    code = "nobody_may_ask"


def _why_key(choices: Choices, *, is_local: bool) -> str:
    """What makes keys necessary; empty where only this machine can ask."""
    if not is_local:
        return "an address that others can reach"
    if choices.trusts_proxy:
        return "--trust-proxy, behind which anybody may be,"
    if choices.hosts:
        return "--allow-host, a name under which others may come,"
    return "--require-key" if choices.requires_key else ""


def _service(choices: Choices, models: Models, accounts: Accounts, log: Log) -> Service:
    pool = Pool(
        load=models.load,
        known=models.known,
        default=models.names[0],
        aliases=models.aliases,
        keep_s=choices.keep_s,
        kept=frozenset(models.names),
        card=models.card,
    )
    admission = Admission(accounts, choices.parallel, choices.limits)
    return Service(pool, admission, choices.limits, Stopping(choices.drain_s), on_fault=log.fault)


def _serve(
    choices: Choices,
    service: Service,
    around: Surroundings,
    page: Page,
    sockets: Sequence[socket.socket],
    log: Log,
    on_started: Callable[[], None],
) -> None:
    try:
        serve(
            Serving(
                create_app(service, around, page),
                sockets,
                service.stopping,
                limits=choices.limits,
                trusts_proxy=choices.trusts_proxy,
                n_running=lambda: service.n_running,
                stop_all=service.running.stop_all,
                on_started=on_started,
                on_note=log.note,
            )
        )
    finally:
        asyncio.run(service.pool.close())  # what is left where the server was cut off


@contextlib.contextmanager
def _bound(choices: Choices) -> Generator[Sequence[socket.socket]]:
    sockets = bind(choices.host, choices.port)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


@contextlib.contextmanager
def _log(choices: Choices) -> Generator[Log]:
    log = Log(sys.stderr, choices.log_format, choices.shows_values)
    try:
        with all_in(log):
            yield log
    finally:
        log.close()


@contextlib.contextmanager
def _spans(choices: Choices) -> Generator[Callable[[Record], None]]:
    if not choices.traces_spans:
        yield lambda _record: None
        return
    tell, close = open_spans()
    try:
        yield tell
    finally:
        close()


def _url(host: str, sockets: Sequence[socket.socket]) -> str:
    port = sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
