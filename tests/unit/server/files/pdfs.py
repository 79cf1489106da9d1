"""Small PDFs, written by hand: the format is a list of objects and a table of where they begin."""

from __future__ import annotations

import zlib


def pdf(*pages: str | bytes, extra: str = "") -> bytes:
    """One page for each text (Latin letters), or for each raw content stream."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = list[str]()
    for page in pages:
        content = page if isinstance(page, bytes) else f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode()
        n = len(objects) + 1
        kids.append(f"{n} 0 R")
        font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {n + 1} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>".encode()
        )
        packed = zlib.compress(content)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + packed + b"\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    return written(objects, extra)


def written(objects: list[bytes], extra: str = "") -> bytes:
    out, places = b"%PDF-1.7\n", list[int]()
    for n, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (n, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {extra} >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + trailer.encode()
