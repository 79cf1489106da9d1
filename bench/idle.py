"""What connections cost: many that are kept and ask nothing, and streams that are read beside them.

    python bench/idle.py --connections 10000 --streams 500 --minutes 60

Over the scripted engine, in a process of its own. By default a tenth of that for half a minute. Both processes need as
many open files as there are connections (`ulimit -Hn`).
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from served import Server, scripted_server
from table import machine, show

from bethink.server.listening import raise_open_files

ASK = b'{"stream": true, "messages": [{"role": "user", "content": "go on"}], "bethink": {"paths": 1}}'
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def kept(port: int) -> Connection:
    """A connection that has asked once, so that it is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await ping((reader, writer))
    return reader, writer


async def ping(connection: Connection) -> None:
    reader, writer = connection
    writer.write(request("GET", "/healthz"))
    await reader.readuntil(b"ok\n")


async def many(port: int, n: int) -> list[Connection]:
    opened: list[Connection] = []
    while len(opened) < n:
        opened += await asyncio.gather(*(kept(port) for _ in range(min(100, n - len(opened)))))
    return opened


async def stream(port: int, until: float) -> tuple[int, int]:
    """Streams one after another; how many ended well, and how many did not."""
    n_whole = n_broken = 0
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", "/v1/chat/completions", ASK))
        try:
            text = await reader.readuntil(b"\r\n0\r\n\r\n")
            n_whole, n_broken = n_whole + (b"[DONE]" in text), n_broken + (b"[DONE]" not in text)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            n_broken += 1
        writer.close()
    return n_whole, n_broken


async def measure(server: Server, n_connections: int, n_streams: int, seconds: float) -> Sequence[Sequence[object]]:
    rows: list[Sequence[object]] = []

    async def note(what: str) -> None:
        held = await asyncio.to_thread(server.held)
        rows.append((what, f"{held.rss_mb:.0f}", held.n_files, held.n_under_way))

    await note("started")
    began = time.monotonic()
    idle = await many(server.port, n_connections)
    await note(f"{n_connections} idle connections, opened in {time.monotonic() - began:.1f} s")
    until = time.monotonic() + seconds
    streaming = [asyncio.create_task(stream(server.port, until)) for _ in range(n_streams)]
    for part in (0.25, 0.5, 0.75):
        await asyncio.sleep(max(0.0, until - seconds * (1 - part) - time.monotonic()))
        await note(f"{n_streams} streams beside them, after {seconds * part:.0f} s")
    ended = await asyncio.gather(*streaming)
    await note(f"{sum(n for n, _ in ended)} streams ended well, {sum(n for _, n in ended)} did not")
    alive = await asyncio.gather(*(ping(connection) for connection in idle), return_exceptions=True)
    await note(f"{sum(one is None for one in alive)} idle connections still answered")
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(1.0)
    await note("all closed")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds between a stream's tokens")
    given = parser.parse_args()
    print(machine())
    raise_open_files()
    options = ("--tokens", "200", "--delay", str(given.delay), "--parallel", str(given.streams), "--idle", "7200")
    with scripted_server(*options) as server:
        rows = asyncio.run(measure(server, given.connections, given.streams, given.minutes * 60))
    show("What connections cost", ("", "memory, MB", "open files", "under way"), rows)


if __name__ == "__main__":
    main()
