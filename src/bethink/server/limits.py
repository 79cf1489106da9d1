"""What a client may send and how long it may take: bytes of a body and of a head, seconds for each, silence of readers.

Owns reading a body under these limits. The limits of connections are kept by `listening`, which sees them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as Http

from bethink.errors import UsageError

MIB = 1 << 20
LARGE_BYTES = 256 * 1024
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Limits:
    """`body_bytes` of one request, `body_s` until it must have arrived. `head_bytes` and `head_s` are the same for the
    lines before it. A connection may be idle for `idle_s`. A reader that takes nothing for `reader_s`, or falls behind
    by `behind_bytes`, is cut off. `waiting` requests may wait for a model, each for at most `wait_s`."""

    body_bytes: int = 32 * MIB
    body_s: float = 60.0
    head_bytes: int = 64 * 1024
    head_s: float = 15.0
    idle_s: float = 75.0
    reader_s: float = 30.0
    behind_bytes: int = 8 * MIB
    waiting: int = 512
    wait_s: float = 300.0


class BodyTooLarge(UsageError):
    code = "body_too_large"
    http_status = 413


class BodyTooSlow(UsageError):
    code = "body_too_slow"
    http_status = 408


class ClientGone(UsageError):
    """Nobody reads this error but the log, under the status that nginx gave it."""

    code = "client_gone"
    http_status = 499


async def beside(read: Callable[[bytes], Read], body: bytes) -> Read:
    """What `read` makes of a body; of a large one in a thread, since everybody waits for the event loop."""
    return read(body) if len(body) <= LARGE_BYTES else await asyncio.to_thread(read, body)


async def read_limited(http: Http, limits: Limits) -> bytes:
    """The whole body.

    Raises: BodyTooLarge, BodyTooSlow, ClientGone.
    """
    most = limits.body_bytes
    too_large = BodyTooLarge(f"the body is larger than {most // MIB} MiB", "send less, or in pieces")
    stated = http.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > most:
        raise too_large
    pieces, size = list[bytes](), 0
    try:
        async with asyncio.timeout(limits.body_s):
            async for piece in http.stream():
                size += len(piece)
                if size > most:
                    raise too_large
                pieces.append(piece)
    except TimeoutError:
        raise BodyTooSlow(f"the body did not arrive within {limits.body_s:g} s", "send it faster") from None
    except ClientDisconnect:
        raise ClientGone("the client went away before its body had arrived") from None
    return b"".join(pieces)
