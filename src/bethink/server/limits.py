"""What a client may send: how many bytes, and how long it may take over them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request as Http

from bethink.errors import UsageError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """`body_bytes` of one request; `body_s` until it must have arrived."""

    body_bytes: int = 32 * MIB
    body_s: float = 60.0


class BodyTooLarge(UsageError):
    code = "body_too_large"
    http_status = 413


class BodyTooSlow(UsageError):
    code = "body_too_slow"
    http_status = 408


async def read_limited(http: Http, limits: Limits) -> bytes:
    """The whole body.

    Raises: BodyTooLarge, BodyTooSlow.
    """
    most = limits.body_bytes
    too_large = BodyTooLarge(f"the body is larger than {most // MIB} MiB", "send less, or in pieces")
    stated = http.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > most:
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
    return b"".join(pieces)
