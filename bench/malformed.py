"""Malformed requests, made from valid ones: what the server answers, and whether anything is left behind.

    python bench/malformed.py --n 100000

Bodies are cut, spliced, nested, retyped and given odd numbers; heads get odd methods, lengths, names and encodings;
some clients leave in the middle. Over the scripted engine, in a process of its own. Nothing may answer 5xx, stay open
or stay under way.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from served import Server, scripted_server
from table import machine, show

VALID: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/v1/chat/completions",
        {"model": "", "messages": [{"role": "user", "content": "What is 6 * 7?"}], "max_tokens": 40},
    ),
    (
        "/v1/chat/completions",
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "reasoning_effort": "low",
            "n": 2,
            "seed": 1,
            "temperature": 0.5,
            "bethink": {"paths": 2, "within_s": 2.0, "events": True},
        },
    ),
    ("/v1/chat/completions/x/control", {"action": "reasoning_end"}),
    ("/v1/requests/x/stop", {}),
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e308, -1e-308, 2**63, 10**400),
    *("", "\x00", "\ud7ff", "é" * 1000, "1", "none"),
    *([], {}, [[]], [None], {"a": {}}),
)
TARGETS = (
    b"/",
    b"//",
    b"*",
    b"/%00",
    b"/v1/models/" + b"a" * 3000,
    b"http://evil.example/",
    b"/\xff",
    b"/metrics?a=%zz",
)
LINES = (
    *(b"content-length: 99999999999999999999", b"transfer-encoding: chunked", b"expect: 100-continue"),
    *(b"host: evil.example", b"origin: null", b"content-encoding: gzip", b"upgrade: websocket", b"x: \x00", b": empty"),
    *(b"authorization: Bearer \xff\xfe", b"x-api-key: " + b"k" * 5000, b"cookie: " + b"c" * 70_000),
    b"traceparent: 00-zz-zz-01",
)
"""Added to a head."""
METHODS = (
    b"POST",
    b"POST",
    b"POST",
    b"POST",
    b"GET",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"HEAD",
    b"TRACE",
    b"POSTT",
    b"\xff",
)


@dataclass(slots=True)
class Fuzz:
    """Makes one malformed request from a seed."""

    chance: random.Random

    def request(self) -> bytes:
        path, body = self.chance.choice(VALID)
        data = self._bytes(self._body(copy.deepcopy(body)))
        return self._head(path, data) + data

    def _body(self, body: Any) -> Any:
        for _ in range(self.chance.randint(0, 3)):
            at = self._somewhere(body)
            if at is not None:
                self.chance.choice((self._retyped, self._renamed, self._dropped, self._nested))(*at)
        return body

    def _somewhere(self, value: Any) -> tuple[Any, Any] | None:
        """A container and a key in it."""
        places: list[tuple[Any, Any]] = []

        def walk(inner: Any) -> None:
            keys: list[Any] = list(cast("dict[str, Any]", inner)) if isinstance(inner, dict) else []
            if isinstance(inner, list):
                keys = list(range(len(cast("list[Any]", inner))))
            for key in keys:
                places.append((cast("Any", inner), key))
                walk(inner[key])

        walk(value)
        return self.chance.choice(places) if places else None

    def _retyped(self, inner: Any, key: Any) -> None:
        inner[key] = copy.deepcopy(self.chance.choice(ODD))

    def _renamed(self, inner: Any, key: Any) -> None:
        if isinstance(inner, dict):
            inner = cast("dict[str, Any]", inner)
            inner[self.chance.choice(("", "x", "messages", "n", "__proto__", str(key).upper()))] = inner.pop(key)

    def _dropped(self, inner: Any, key: Any) -> None:
        del inner[key]

    def _nested(self, inner: Any, key: Any) -> None:
        for _ in range(self.chance.choice((1, 10, 150))):
            inner[key] = [inner[key]] if self.chance.random() < 0.5 else {"a": inner[key]}

    def _bytes(self, body: Any) -> bytes:
        data = bytearray(json.dumps(body, allow_nan=True).encode())
        kind = self.chance.random()
        if kind < 0.15:
            del data[self.chance.randrange(len(data) + 1) :]
        elif kind < 0.3 and data:
            for _ in range(self.chance.randint(1, 4)):
                data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        elif kind < 0.35:
            return b"[" * self.chance.choice((10, 300, 50_000))
        elif kind < 0.4:
            data += bytes(data)
        return bytes(data)

    def _head(self, path: str, data: bytes) -> bytes:
        chance = self.chance
        method = b"POST" if chance.random() < 0.8 else chance.choice(METHODS)
        target = path.encode()
        if chance.random() < 0.05:
            target = chance.choice(TARGETS)
        lines = [method + b" " + target + b" HTTP/1.1", b"host: 127.0.0.1", b"connection: close"]
        if chance.random() < 0.97:
            lines.append(b"content-type: application/json")
        lines.append(b"content-length: %d" % len(data))
        if chance.random() < 0.15:
            lines.append(chance.choice(LINES))
        return b"\r\n".join(lines) + b"\r\n\r\n"


@dataclass(slots=True)
class Told:
    statuses: Counter[str] = field(default_factory=Counter[str])
    bad: list[bytes] = field(default_factory=list[bytes])


async def one(port: int, data: bytes, leaves: bool, told: Told) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        if leaves:
            told.statuses["(client left)"] += 1
        else:
            status = await _status(reader)
            told.statuses[status] += 1
            if status.startswith("5") and len(told.bad) < 10:
                told.bad.append(data[:2000])
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> str:
    """The status of an answer that was read to its end."""
    try:
        async with asyncio.timeout(30):
            answer = await reader.read()
    except TimeoutError:
        return "(no end within 30 s)"
    except ConnectionError:
        return "(cut off)"
    status = answer[9:12].decode("latin-1") or "(closed)"
    return status + (" with an error inside" if status == "200" and b'"internal"' in answer else "")


async def fuzz(server: Server, n: int, seed: int, at_once: int) -> Told:
    told, numbers = Told(), iter(range(n))

    async def work() -> None:
        for number in numbers:
            chance = random.Random(f"{seed}-{number}")
            await one(server.port, Fuzz(chance).request(), chance.random() < 0.05, told)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    print(machine())
    with scripted_server("--tokens", "30", "--delay", "0.001") as server:
        asyncio.run(fuzz(server, 200, given.seed + 1, given.at_once))
        before = asyncio.run(settled(server))
        told = asyncio.run(fuzz(server, given.n, given.seed, given.at_once))
        after = asyncio.run(settled(server))
    rows = [(status, n) for status, n in sorted(told.statuses.items())]
    show(f"{given.n} malformed requests", ("answer", "times"), rows)
    columns = ("", "before", "after")
    held: list[tuple[str, Callable[[Any], object]]] = [
        ("memory, MB", lambda h: f"{h.rss_mb:.0f}"),
        ("open files", lambda h: h.n_files),
        ("requests under way", lambda h: h.n_under_way),
    ]
    show("What is left behind", columns, [(name, of(before), of(after)) for name, of in held])
    for data in told.bad:
        print(data)


async def settled(server: Server) -> Any:
    """What is held once nothing runs any more, or after ten seconds."""
    held = await asyncio.to_thread(server.held)
    for _ in range(20):
        if held.n_under_way == 0:
            break
        await asyncio.sleep(0.5)
        held = await asyncio.to_thread(server.held)
    return held


if __name__ == "__main__":
    main()
