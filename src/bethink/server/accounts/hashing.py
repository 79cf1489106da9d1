"""How a password is kept: scrypt of the standard library, with a salt and the parameters beside each digest.

What always holds: a digest made with other parameters is still checked with its own; two passwords are compared in
constant time; a check against nothing takes as long as one against something. Text is compared in one form of Unicode,
so that the same letters typed on another keyboard are the same password.

Source: RFC 7914; parameters as OWASP's password storage sheet gives them (N = 2^14, r = 8, p = 5: 16 MB).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata

from bethink.errors import UsageError

LOG2_N, R, P = 14, 8, 5
SALT_BYTES, DIGEST_BYTES = 16, 32
SHORTEST, LONGEST = 10, 500
_FORM = re.compile(
    r"scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{1,100})\$([A-Za-z0-9+/=]{1,100})", re.ASCII
)


def hash_password(password: str) -> str:
    """`scrypt$log2 N$r$p$salt$digest`. Takes about a tenth of a second and 16 MB: use a thread."""
    salt = secrets.token_bytes(SALT_BYTES)
    return f"scrypt${LOG2_N}${R}${P}${_text(salt)}${_text(_digest(password, salt, LOG2_N, R, P))}"


def is_password(password: str, hashed: str | None) -> bool:
    """Whether it is the one. None, or what is no digest of ours, is nobody's, and takes the same time to say."""
    found = _FORM.fullmatch(hashed or "")
    if found is None:
        _digest(password, bytes(SALT_BYTES), LOG2_N, R, P)
        return False
    log2_n, r, p = (int(number) for number in found.group(1, 2, 3))
    salt, digest = (base64.b64decode(text) for text in found.group(4, 5))
    return hmac.compare_digest(_digest(password, salt, log2_n, r, p), digest)


def check_password(password: str, name: str) -> None:
    """Whether one may be chosen by the user of that name.

    Raises: UsageError, which never says the password.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(
            f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}",
            "a sentence of your own is long and easy to keep in mind",
        )
    if len(set(password)) < 4 or password.casefold() in name.casefold() or password.casefold() == name.casefold() * 2:
        raise UsageError("this password is among the first that anybody would try", "choose another one")


def new_password() -> str:
    """One to be told to somebody: 100 random bits in four groups of letters that are not confused."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def _digest(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    most = 2 * 128 * r * (2**log2_n + p)
    return hashlib.scrypt(text, salt=salt, n=2**log2_n, r=r, p=p, maxmem=most, dklen=DIGEST_BYTES)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
