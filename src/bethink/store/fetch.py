"""Asking a server for a page or for the rest of a file.

Owns time limits, retries, ranges and what an unreachable server is called. What always holds: a server that does not
answer costs at most two attempts of `CONNECT_S`; a download that stops is taken up where it stopped as long as bytes
keep coming.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import httpx

from bethink.config import Settings
from bethink.errors import HashMismatch, SourceUnreachable, UnknownModel
from bethink.store.growing import CHUNK_BYTES, GrowingFile
from bethink.store.reference import without_credentials

CONNECT_S = 3.0
ANSWER_S = 15.0  # between two packets
ATTEMPTS_WITHOUT_BYTES = 4


class NobodyThere(SourceUnreachable):
    """No connection at all: everything else on that server is out of reach too."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file somebody offers. `size` and `sha256` are what its source states; None where it states nothing.

    `headers` go with the request for it; `auth` is a user name and password for its own host.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    auth: tuple[str, str] | None = None


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client that honours the proxies and certificates of the environment."""
    verify: ssl.SSLContext | bool = True
    if settings.ca_file and Path(settings.ca_file).is_file():
        verify = ssl.create_default_context(cafile=settings.ca_file)
    async with httpx.AsyncClient(
        verify=verify,
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        follow_redirects=True,
        headers={"User-Agent": "bethink", "Accept-Encoding": "identity"},
    ) as client:
        yield client


async def ask(
    client: httpx.AsyncClient,
    url: str,
    place: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    follow_redirects: bool = True,
) -> httpx.Response:
    """The answer to a small request, with one more attempt when the first finds nobody.

    Raises: SourceUnreachable; UnknownModel, when the server answers that it has no such thing.
    """
    for attempt in (1, 2):
        try:
            request = client.build_request(method, url, headers=dict(headers or {}))
            response = await client.send(request, auth=auth, follow_redirects=follow_redirects)
            break
        except (httpx.TransportError, httpx.InvalidURL, httpx.TooManyRedirects) as error:
            if attempt == 2 or not isinstance(error, httpx.TransportError):
                raise unreachable(place, error) from error
    else:  # pragma: no cover - the loop breaks or raises
        raise AssertionError
    check_status(response, place)
    return response


def check_status(response: httpx.Response, place: str) -> None:
    """Raises: UnknownModel (404, 410), SourceUnreachable (any other refusal)."""
    if response.status_code in (404, 410):
        raise UnknownModel(f"{place} has no such file: {without_credentials(str(response.url))}", "check its spelling")
    if response.status_code in (401, 403):
        raise SourceUnreachable(
            f"{place} refuses access ({response.status_code})",
            "accept the model's licence on its page and set HF_TOKEN, or check the credentials of your package index",
        )
    if response.status_code >= 400:
        raise SourceUnreachable(f"{place} answered {response.status_code} {response.reason_phrase}".rstrip())


def unreachable(place: str, error: Exception) -> SourceUnreachable:
    if isinstance(error, httpx.ConnectTimeout):
        why = f"no connection within {CONNECT_S:.0f} s"
    elif isinstance(error, httpx.TimeoutException):
        why = f"no answer within {ANSWER_S:.0f} s"
    else:
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)).lower() or type(error).__name__
    kind = NobodyThere if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else SourceUnreachable
    return kind(f"{place} cannot be reached: {why}")


async def download(
    client: httpx.AsyncClient, remote: RemoteFile, into: GrowingFile, place: str, on_bytes: Callable[[int], None]
) -> None:
    """Append what is missing of `remote` until `into` holds all of it. Checks sizes, not hashes.

    Raises: SourceUnreachable (what came stays in `into`), UnknownModel, HashMismatch (its size is not the stated one),
    DiskFull.
    """
    if remote.url.startswith("file:"):
        await _copy(remote, into, on_bytes)
        return
    fruitless, failure = 0, SourceUnreachable(f"{place} stopped sending")
    while into.size != remote.size or remote.size is None:
        before = into.size
        try:
            if await _read_rest(client, remote, into, place, on_bytes):
                return
        except httpx.TransportError as error:
            failure = unreachable(place, error)
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and fruitless:
                raise failure from error
        fruitless = 0 if into.size > before else fruitless + 1
        if fruitless >= ATTEMPTS_WITHOUT_BYTES:
            raise failure
        await anyio.sleep(0.25 * 2**fruitless)


async def _read_rest(
    client: httpx.AsyncClient, remote: RemoteFile, into: GrowingFile, place: str, on_bytes: Callable[[int], None]
) -> bool:
    """One request. True when the server has no more to send."""
    headers = dict(remote.headers)
    if into.size:
        headers["Range"] = f"bytes={into.size}-"
    request = client.build_request("GET", remote.url, headers=headers)
    response = await client.send(request, stream=True, auth=remote.auth)
    try:
        if response.status_code == 416:
            if (is_whole := _total_of(response) == into.size) is False:
                into.restart()
            return is_whole
        check_status(response, place)
        skip, total = _start_of(response, into, remote)
        async for chunk in response.aiter_raw():  # as they come: a broken connection would lose a larger piece
            fresh, skip = chunk[skip:], max(0, skip - len(chunk))
            if remote.size is not None and into.size + len(fresh) > remote.size:
                raise HashMismatch(f"{place} sends more than the {remote.size:,} bytes it states for {remote.name}")
            if fresh:
                into.append(fresh)
                on_bytes(into.size)
        return total is None or into.size == total
    finally:
        await response.aclose()


def _start_of(response: httpx.Response, into: GrowingFile, remote: RemoteFile) -> tuple[int, int | None]:
    """How many bytes of the body are here already, and the size of the whole file. A server may ignore ranges (200)."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found or int(found[1]) != into.size:
            raise httpx.RemoteProtocolError(
                f"asked from byte {into.size}, got {response.headers.get('Content-Range')!r}"
            )
        total = int(found[3]) if found[3] != "*" else remote.size
        skip = 0
    else:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else remote.size
        skip = into.size
    if total is not None and total < into.size:
        into.restart()
        skip = 0
    if remote.size is not None and total is not None and total != remote.size:
        raise HashMismatch(f"{remote.name} is said to have {remote.size:,} bytes and the server has {total:,}")
    return skip, total


def _total_of(response: httpx.Response) -> int | None:
    found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


async def _copy(remote: RemoteFile, into: GrowingFile, on_bytes: Callable[[int], None]) -> None:
    """A file: URL, as in an index kept in a folder."""
    path = path_of(remote.url)
    try:
        with path.open("rb") as file:
            file.seek(into.size)
            while chunk := file.read(CHUNK_BYTES):
                into.append(chunk)
                on_bytes(into.size)
                await anyio.sleep(0)
    except FileNotFoundError:
        raise UnknownModel(f"{path} does not exist") from None


def path_of(file_url: str) -> Path:
    return Path(url2pathname(urlsplit(file_url).path))
