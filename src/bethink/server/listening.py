"""The socket side: where we listen, how long a connection may dawdle, and how the server stops.

Owns all that uvicorn is told and what it leaves open: heads that never end, readers that never read, a stop that first
lets running requests finish. Nothing else in bethink knows uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bethink.errors import UsageError
from bethink.server.limits import Limits

SWEEP_TICKS = 10
"""Connections are looked at once a second: uvicorn ticks every 0.1 s."""
BACKLOG = 4096
LAST_BYTES_S = 3.0
"""How long connections may take to close once nothing runs any more."""


@dataclass(slots=True)
class Stopping:
    """How far the end has come. `is_draining`: nothing new is taken; `deadline` is on the monotonic clock."""

    drain_s: float = 30.0
    is_draining: bool = False
    is_forced: bool = False
    deadline: float = 0.0

    def next(self) -> None:
        """One more signal: the first drains, the second stops at once."""
        if self.is_draining:
            self.is_forced = True
            return
        self.is_draining = True
        self.deadline = time.monotonic() + self.drain_s


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served where. `n_running` counts requests under way, `stop_all` has each end with what it has; both are
    asked while the server stops. `on_note` gets what uvicorn has to say."""

    app: Callable[..., Any]
    sockets: Sequence[socket.socket]
    stopping: Stopping
    limits: Limits = field(default_factory=Limits)
    trusts_proxy: bool = False
    n_running: Callable[[], int] = lambda: 0
    stop_all: Callable[[], None] = lambda: None
    on_started: Callable[[], None] = lambda: None
    on_note: Callable[[str], None] = lambda _text: None


def serve(serving: Serving) -> None:
    """Serve until a signal; returns when the last request has ended, or was cut off by a second signal."""
    raise_open_files()
    with _notes(serving):
        Server(serving).run(sockets=list(serving.sockets))


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address of `host`, not listening yet; all on one port, a free one where `port` is 0.

    Raises: UsageError: the port is taken, or the address is not ours.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UsageError(f"there is no address {host!r}: {error.strerror}", "127.0.0.1 is this machine only") from None
    bound: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            bound.append(_bind_one(family, (address[0], port or _port_of(bound), *address[2:])))
    except OSError as error:
        for one in bound:
            one.close()
        raise _unbindable(error, host, port) from None
    return bound


def _bind_one(family: int, address: tuple[Any, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _notice_the_dead(opened)
        opened.bind(address)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _notice_the_dead(opened: socket.socket) -> None:
    """Peers that vanished without a word (a cable, a suspended laptop) are noticed within two minutes, so that nothing
    runs for them. Connections inherit it from the socket that listens."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 120_000)):
        if (option := getattr(socket, name, None)) is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, value)


def _port_of(bound: Sequence[socket.socket]) -> int:
    return bound[0].getsockname()[1] if bound else 0


def _unbindable(error: OSError, host: str, port: int) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} is taken", "another `bethink serve` may be running; --port 0 takes a free port")
    if error.errno == errno.EACCES:
        return UsageError(f"port {port} needs rights that this user has not", "take one above 1023")
    return UsageError(f"{host} port {port} cannot be listened on: {error.strerror}", "127.0.0.1 is this machine only")


def raise_open_files() -> int:
    """Let this process hold as many connections as the system allows it. Returns how many files that is."""
    if sys.platform == "win32":
        return 0
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and refuses it
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Server(uvicorn.Server):
    """uvicorn's, with an end in two steps and an eye on connections that dawdle."""

    def __init__(self, serving: Serving) -> None:
        self.serving, self._has_said = serving, False
        limits = serving.limits
        super().__init__(
            uvicorn.Config(
                serving.app,
                http=_protocol(limits),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=serving.trusts_proxy,
                forwarded_allow_ips="*" if serving.trusts_proxy else None,
                backlog=BACKLOG,
                timeout_keep_alive=int(limits.idle_s),
                timeout_graceful_shutdown=int(LAST_BYTES_S),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """In place of uvicorn's: its own would raise the signal again when all is over."""
        del frame, sig
        self.serving.stopping.next()

    async def on_tick(self, counter: int) -> bool:
        if counter % SWEEP_TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
        stopping = self.serving.stopping
        if stopping.is_forced:
            n = self.serving.n_running()
            self.serving.on_note(f"stopping at once: {n} request{'s are' if n != 1 else ' is'} cut off")
            self.force_exit = self.should_exit = True
        elif stopping.is_draining:
            self._say_once()
            self.should_exit = self._has_drained(stopping)
        return await super().on_tick(counter)

    def _say_once(self) -> None:
        """That the end has begun. Not in the signal's handler, which may have interrupted the log itself."""
        if not self._has_said:
            self._has_said = True
            n = self.serving.n_running()
            what = f"{n} request{'s' * (n != 1)} may go on for {self.serving.stopping.drain_s:g} s"
            self.serving.on_note(f"stopping: {what}; another signal stops at once" if n else "stopping")

    def _has_drained(self, stopping: Stopping) -> bool:
        """Nothing runs any more; past the deadline the rest is told to end, and given a moment to say so."""
        if self.serving.n_running() == 0:
            return True
        over_s = time.monotonic() - stopping.deadline
        if over_s >= 0:
            self.serving.stop_all()
        return over_s >= LAST_BYTES_S


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits for clients that send half a head, or read nothing. `limits` is set by a subclass."""

    limits: Limits
    _idle_since: float | None
    _head_since: float | None = None
    _stuck_since: float | None = None
    _n_head: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._idle_since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        if self._head_since is not None or self._idle_since is not None:
            self._n_head += len(data)
        super().data_received(data)
        if self._head_since is not None and self._n_head > self.limits.head_bytes:
            self._refuse(431, "the head of the request is too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self._head_since, self._idle_since, self._n_head = None, None, 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        if self.cycle.response_complete:  # else another request came down the same pipe
            self._idle_since = time.monotonic()
        super().on_response_complete()

    def look(self, now: float) -> None:
        """Once a second: whoever dawdles is cut off."""
        if self._head_since is not None and now - self._head_since > self.limits.head_s:
            self._refuse(408, "the head of the request did not arrive in time")
        elif self._idle_since is not None and now - self._idle_since > self.limits.idle_s:
            self.transport.close()
        is_stuck = self.flow.write_paused or (
            self.transport.is_closing() and self.transport.get_write_buffer_size() > 0
        )
        if not is_stuck:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > self.limits.reader_s:
            self.transport.abort()

    @property
    def _is_between_requests(self) -> bool:
        """Nothing is being answered, so that we may speak."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _refuse(self, status: int, why: str) -> None:
        if self.transport.is_closing():
            return
        self._head_since = None
        body = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":null}}' % why.encode()
        head = "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        phrase = {408: "Request Timeout", 431: "Request Header Fields Too Large"}[status]
        if self._is_between_requests:
            self.transport.write((head % (status, phrase, len(body))).encode() + body)
        self.transport.close()


def _protocol(limits: Limits) -> type[Connection]:
    return type("LimitedConnection", (Connection,), {"limits": limits})


@contextlib.contextmanager
def _notes(serving: Serving) -> Generator[None]:
    """What uvicorn logs as an error, in our log. What a client sent wrongly is no news, nor is what breaks off when
    the server was told to stop at once."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not serving.stopping.is_forced:
                serving.on_note(record.getMessage())

    logger = logging.getLogger("uvicorn.error")
    handler, level = Handler(logging.ERROR), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = True


def is_loopback(sockets: Sequence[socket.socket]) -> bool:
    """Whether only this machine can reach all of them."""
    return all(str(one.getsockname()[0]).startswith("127.") or one.getsockname()[0] == "::1" for one in sockets)
