"""Connections that dawdle are cut off, and the server stops when its work is done."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import httpx
import pytest

from bethink.engine.scripted import Context, Line
from bethink.errors import UsageError
from bethink.server.limits import Limits
from bethink.server.listening import bind, is_loopback, raise_open_files
from tests.unit.server.scripted import Listening, asked, on_a_socket, rig

pytestmark = pytest.mark.anyio
ASK = "/v1/chat/completions"
HASTY = Limits(head_s=0.3, body_s=0.3, idle_s=2.0, reader_s=0.5, head_bytes=8192)


def endless(_: Context) -> Line:
    return Line("Let me think.", loop=" And then I think of something else, number by number.")


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


def request(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return (
        f"POST {ASK} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    ).encode() + data


async def said(listening: Listening, data: bytes) -> bytes:
    """What comes back until the server closes."""
    reader, writer = await listening.connect()
    writer.write(data)
    answer = await read_all(reader)
    writer.close()
    return answer


async def test_a_head_that_never_ends_is_given_up() -> None:
    async with on_a_socket(rig(limits=HASTY)) as listening:
        answer = await said(listening, b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"error"' in answer


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with on_a_socket(rig(limits=HASTY)) as listening:
        answer = await said(listening, b"GET / HTTP/1.1\r\n" + b"x-many: 1234567890\r\n" * 1000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_never_ends_is_given_up() -> None:
    async with on_a_socket(rig(limits=HASTY)) as listening:
        answer = await said(listening, request(asked())[:-5])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer


async def test_connections_that_ask_nothing_are_closed() -> None:
    async with on_a_socket(rig(limits=HASTY)) as listening:
        began = asyncio.get_running_loop().time()
        assert await said(listening, b"") == b""
        assert await said(listening, b"\r\n") == b""
        assert asyncio.get_running_loop().time() - began > 2


async def test_what_is_no_http_is_refused() -> None:
    async with on_a_socket(rig(limits=HASTY)) as listening:
        for junk in (b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100):
            assert b" 400 " in (await said(listening, junk))[:20]
        two = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        assert b" 400 " in (await said(listening, two + b"0\r\n\r\n"))[:20]


async def test_a_reader_that_reads_nothing_is_cut_off_and_its_run_ends() -> None:
    made = rig(endless, limits=Limits(reader_s=0.5, behind_bytes=1 << 16))
    async with on_a_socket(made) as listening:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(opened, ("127.0.0.1", listening.port))
        body = asked(stream=True, n=64, max_tokens=16_000, bethink={"paths": 1})
        await loop.sock_sendall(opened, request(body))
        async with asyncio.timeout(60):
            while made.service.n_running or not made.records:
                await asyncio.sleep(0.05)
        opened.close()
    assert made.records[0].outcome == "cancelled"
    assert made.engine.n_running == 0


async def test_requests_that_share_a_connection_are_answered_in_their_order() -> None:
    async with on_a_socket(rig()) as listening:
        reader, writer = await listening.connect()
        writer.write(request(asked()) + b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        answer = await read_all(reader)
        writer.close()
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.rstrip().endswith(b"ok")


async def test_a_stop_lets_running_requests_end_refuses_new_ones_and_then_goes() -> None:
    made = rig(endless, token_delay_s=0.002)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        body = asked(stream=True, bethink={"paths": 1, "within_s": 1.5})
        async with client.stream("POST", ASK, json=body) as response:
            listening.server.handle_exit(15, None)
            refused = await client.post(ASK, json=asked())
            assert (refused.status_code, refused.headers["connection"]) == (503, "close")
            assert "retry-after" in refused.headers
            text = "".join([piece async for piece in response.aiter_text()])
        assert text.rstrip().endswith("[DONE]")
        async with asyncio.timeout(5):
            await listening.task
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")


async def test_a_stop_ends_what_does_not_end_by_itself_and_settles_it() -> None:
    made = rig(endless, token_delay_s=0.01, drain_s=0.3)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        async with client.stream("POST", ASK, json=asked(stream=True)) as response:
            listening.server.handle_exit(15, None)
            text = "".join([piece async for piece in response.aiter_text()])
        assert text.rstrip().endswith("[DONE]")
        assert '"finish_reason":"length"' in text
        assert '"finish_reason":"server_stopping"' in text
        async with asyncio.timeout(5):
            await listening.task
    assert made.records[0].outcome == "cancelled"


async def test_what_a_client_stopped_does_not_say_that_the_server_did() -> None:
    made = rig(endless, token_delay_s=0.01, drain_s=60)
    async with (
        on_a_socket(made) as listening,
        httpx.AsyncClient(base_url=listening.url) as client,
        client.stream("POST", ASK, json=asked(stream=True)) as response,
    ):
        await client.post(f"/v1/requests/{response.headers['x-request-id']}/stop")
        text = "".join([piece async for piece in response.aiter_text()])
    assert '"finish_reason":"user"' in text
    assert "server_stopping" not in text


async def test_who_waits_or_still_sends_when_the_server_ends_is_told_so() -> None:
    made = rig(endless, token_delay_s=0.01, drain_s=0.3, parallel=1)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        reader, writer = await listening.connect()
        writer.write(request(asked())[:-3])
        asking = [asyncio.create_task(client.post(ASK, json=asked(stream=n == 1))) for n in range(3)]
        while made.service.n_running < 3:
            await asyncio.sleep(0.01)
        listening.server.handle_exit(15, None)
        ran, *waited = [await one for one in asking]
        answer = await read_all(reader)
        writer.close()
    assert ran.json()["choices"][0]["finish_reason"] == "length"
    assert [one.status_code for one in waited] == [503, 503]
    assert all("stopping" in one.text and "retry-after" in one.headers for one in waited)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"code":"stopping"' in answer
    assert made.faults == []
    assert listening.notes == ["stopping: 3 requests may go on for 0.3 s; another signal stops at once"]


async def test_a_second_signal_stops_at_once() -> None:
    made = rig(endless, token_delay_s=0.01, drain_s=60)
    async with on_a_socket(made) as listening, httpx.AsyncClient(base_url=listening.url) as client:
        reading = asyncio.create_task(client.post(ASK, json=asked()))
        while not made.service.n_running:
            await asyncio.sleep(0.01)
        listening.server.handle_exit(2, None)
        listening.server.handle_exit(2, None)
        async with asyncio.timeout(5):
            await listening.task
        reading.cancel()
        await asyncio.wait({reading})


def test_a_port_that_is_taken_is_said_to_be() -> None:
    (first,) = bind("127.0.0.1", 0)
    first.listen()
    port = first.getsockname()[1]
    with pytest.raises(UsageError, match=f"port {port} is taken"):
        bind("127.0.0.1", port)
    first.close()


@pytest.mark.parametrize("host", ["no.such.name.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(UsageError):
        bind(host, 0)


def test_only_loopback_is_loopback() -> None:
    for host, is_it in (("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)):
        sockets = bind(host, 0)
        assert is_loopback(sockets) is is_it
        assert len({one.getsockname()[1] for one in sockets}) == 1
        for one in sockets:
            one.close()


def test_this_process_may_hold_as_many_connections_as_the_system_allows() -> None:
    resource = pytest.importorskip("resource")
    assert raise_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
