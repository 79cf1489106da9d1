"""What a key looks like: `bt-<id>-<secret><checksum>`, made once, recognised by scanners, kept as a digest only.

The secret has 160 random bits, so that one round of SHA-256 is enough: there is nothing to guess that a slow hash would
slow down, and a slow one would cost every request. The checksum finds typos and tells our keys from random text without
a database; it proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field

PREFIX = "bt"
LONGEST = 200
ID_CHARS, SECRET_CHARS, CHECKSUM_CHARS = 12, 32, 6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_FORM = re.compile(rf"{PREFIX}-([a-z2-7]{{{ID_CHARS}}})-([a-z2-7]{{{SECRET_CHARS + CHECKSUM_CHARS}}})", re.ASCII)
NOBODY = bytes(32)
"""A digest that no secret has, to compare with when there is no such key."""


@dataclass(frozen=True, slots=True)
class ParsedSecret:
    key_id: str
    digest: bytes = field(repr=False)


def new_key_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))


def new_secret(key_id: str) -> str:
    body = base64.b32encode(secrets.token_bytes(SECRET_CHARS * 5 // 8)).decode("ascii").lower()
    return f"{PREFIX}-{key_id}-{body}{_checksum(key_id, body)}"


def parse_secret(text: str) -> ParsedSecret | None:
    """None for what is no key of ours, or one with a typo."""
    found = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    key_id, rest = found[1], found[2]
    body, checksum = rest[:SECRET_CHARS], rest[SECRET_CHARS:]
    if checksum != _checksum(key_id, body):
        return None
    return ParsedSecret(key_id, hashlib.sha256(text.encode("ascii")).digest())


def is_same(digest: bytes, kept: bytes | None) -> bool:
    """In constant time, also where there is nothing to compare with."""
    return hmac.compare_digest(digest, kept or NOBODY)


def _checksum(key_id: str, body: str) -> str:
    number = zlib.crc32(f"{key_id}-{body}".encode("ascii"))
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 5 * CHECKSUM_CHARS, 5))
