"""Files become text: what is kept, what is left out and said, and what is refused, hostile ones included."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.server.files.pdf import PdfLimits, read_pdf
from bethink.server.files.reading import MAX_CHARS, UnreadableFile, is_pdf, read_text, safe_name
from tests.unit.server.files.pdfs import pdf, written

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "kind"),
    [("notes.txt", "text"), ("README", "text"), ("main.py", "code"), ("DATA.CSV", "csv"), ("table.tsv", "csv")],
)
def test_a_name_tells_the_kind(name: str, kind: str) -> None:
    assert read_text(name, b"a,b\r\n1,2\r\n").kind == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_read_in_the_encodings_that_editors_write(encoding: str) -> None:
    assert read_text("a.txt", "Grüße\r\naus “Köln”\n".encode(encoding)).text == "Grüße\naus “Köln”\n"


@given(st.binary(max_size=2000))
def test_whatever_the_bytes_they_are_text_or_refused_in_words(data: bytes) -> None:
    with suppress(UnreadableFile):
        read_text("a.txt", data).text.encode("utf-8")


def test_a_table_too_long_is_cut_at_a_row_and_says_how_many_there_were() -> None:
    rows = "".join(f"{n},{n * n}\n" for n in range(50_000))
    read = read_text("squares.csv", rows.encode())
    assert read.text.endswith("\n")
    assert rows.startswith(read.text)
    n_kept = read.text.count("\n")
    assert read.cut == f"only the first {n_kept:,} of 50,000 rows were read ({len(read.text):,} characters)"


def test_one_endless_line_is_cut_and_says_so() -> None:
    read = read_text("a.txt", b"x" * (MAX_CHARS + 7))
    assert (len(read.text), read.cut) == (MAX_CHARS, "only the first 200,000 of 200,007 characters were read")


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\notes.txt", "notes.txt"),
        ("a`b\n\x00\x1b[31m.txt", "ab[31m.txt"),
        ("", "file"),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_a_name_is_one_harmless_line(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


async def test_the_pages_of_a_pdf_are_read_and_named() -> None:
    data = pdf("Hello from page one", "and page two")
    read = await read_pdf("a.pdf", data)
    assert is_pdf(data)
    assert (read.text, read.cut) == ("[page 1]\nHello from page one\n\n[page 2]\nand page two", None)


async def test_pages_without_text_are_said() -> None:
    read = await read_pdf("a.pdf", pdf("Hello", b"0 0 10 10 re f"))
    assert read.cut == "1 pages hold no text (pictures?)"


async def test_a_long_pdf_says_which_pages_were_read() -> None:
    read = await read_pdf("a.pdf", pdf(*[f"{'word ' * 100}{n}" for n in range(700)]))
    assert read.cut is not None
    assert "of 700 pages were read" in read.cut


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7\nthis is none", "is no PDF that can be read"),
        (pdf("Hello")[:200], "is no PDF that can be read"),
        (pdf(b"0 0 10 10 re f"), "holds no text"),
    ],
)
async def test_what_is_no_readable_pdf_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words) as refused:
        await read_pdf("a.pdf", data)
    assert refused.value.hint


async def test_a_pdf_that_takes_for_ever_is_given_up_in_time() -> None:
    endless = pdf(b"BT /F1 12 Tf " + b"(x) Tj 1 0 0 1 0 0 cm " * 2_000_000 + b"ET")
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match="takes longer than 2 s"):
        await read_pdf("a.pdf", endless, PdfLimits(within_s=2.0))
    assert time.monotonic() - began < 10


async def test_a_pdf_that_unpacks_to_gigabytes_takes_no_gigabytes() -> None:
    bomb = pdf(b"BT (x) Tj ET" + b" " * 300_000_000)
    assert len(bomb) < 1_000_000
    with pytest.raises(UnreadableFile):
        await read_pdf("a.pdf", bomb, PdfLimits(within_s=20.0))


async def test_pages_that_are_their_own_parents_end() -> None:
    ring = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]
    with pytest.raises(UnreadableFile):
        await read_pdf("a.pdf", written(ring), PdfLimits(within_s=20.0))


async def test_damaged_pdfs_are_read_or_refused_and_nothing_else() -> None:
    whole = pdf("Hello", "again")
    dice = random.Random(5)
    for _ in range(8):
        broken = bytearray(whole)
        for _ in range(6):
            broken[dice.randrange(20, len(broken))] = dice.randrange(256)
        with suppress(UnreadableFile):
            assert (await read_pdf("a.pdf", bytes(broken), PdfLimits(within_s=20.0))).text
