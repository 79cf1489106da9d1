"""`POST /api/files`: a file is read once, and its text is kept to be asked about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UsageError
from bethink.server.conversations.records import file_record
from bethink.server.files.pdf import read_pdf
from bethink.server.files.reading import ReadFile, is_pdf, read_text, safe_name
from bethink.server.limits import MIB, read_limited
from bethink.server.routes.page.answering import page_of
from bethink.server.routes.page.person import person_of
from bethink.server.running.service import json_response

MAX_BYTES = 20 * MIB
FORGOTTEN_US = 24 * 3600 * 1_000_000
"""After a day a file that no question was about is gone."""


async def send_file(http: Http) -> Response:
    name, data = await _sent(http)
    page = page_of(http)
    if is_pdf(data):
        async with page.reading_pdfs:
            found = await read_pdf(name, data)
    else:
        found = await asyncio.to_thread(read_text, name, data)
    kept = await asyncio.to_thread(_keep, http, found)
    return json_response(kept, status=201)


def _keep(http: Http, found: ReadFile) -> dict[str, object]:
    here = page_of(http).conversations
    here.forget_files(here.now_us() - FORGOTTEN_US)
    return file_record(here.keep_file(person_of(http).owner, found.name, found.kind, found.text, found.cut))


async def _sent(http: Http) -> tuple[str, bytes]:
    """The name and the bytes of the one file of a form.

    Raises: UsageError, BodyTooLarge, BodyTooSlow.
    """
    limits = replace(page_of(http).service.limits, body_bytes=MAX_BYTES + MIB)
    if not http.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError("a file is sent as a form", "content-type: multipart/form-data, with one part named `file`")
    body = await read_limited(http, limits)

    async def once() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(http.headers, once(), max_files=1, max_fields=4).parse()
    except (MultiPartException, KeyError, ValueError):
        raise UsageError("the form cannot be read", "send one file, in a part named `file`") from None
    try:
        sent = form.get("file")
        if not isinstance(sent, UploadFile):
            raise UsageError("the form holds no file", "send one file, in a part named `file`")
        data = await sent.read()
        if len(data) > MAX_BYTES:
            raise UsageError(f"the file is larger than {MAX_BYTES // MIB} MiB", "send a part of it")
        return safe_name(sent.filename or ""), data
    finally:
        await form.close()
