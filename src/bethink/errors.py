"""Every error bethink raises on purpose. Each says what was wrong, with the value, and what to do about it.

    BethinkError
    ├── UsageError                 a request or an option that cannot be honoured          (exit 2, HTTP 400)
    │   ├── ContextFull            the prompt and its answer do not fit the model's context
    │   └── ExtraMissing           what was asked needs an optional part that is not installed
    ├── StoreError                 models and files                                        (exit 3, HTTP 404/507)
    │   ├── UnknownModel           no catalogue entry, file or reference of that name
    │   ├── SourceUnreachable      no source of a model answered
    │   ├── HashMismatch           a download is not the file it claims to be
    │   ├── DiskFull
    │   ├── InvalidModelFile       truncated, lying or hostile model file
    │   └── DoesNotFit             the machine has too little memory for what was asked
    ├── SandboxMissing             code cannot be run safely on this machine               (exit 5, HTTP 501)
    ├── AccessError                who may ask what of a server, and how much of it        (exit 2)
    │   ├── Unauthorized           no key, or none that holds                              (HTTP 401)
    │   │   ├── UnknownKey         never says which part of it was wrong
    │   │   ├── ExpiredKey
    │   │   └── RevokedKey
    │   ├── Forbidden              the key holds, and does not open this                   (HTTP 403)
    │   │   ├── ModelNotAllowed
    │   │   └── ScopeMissing
    │   └── Delayed                come back in `retry_after_s`
    │       ├── LimitReached       a limit of a key or of its workspace                    (HTTP 429)
    │       │   ├── RateLimited    requests or tokens per minute
    │       │   ├── TooManyAtOnce  requests under way
    │       │   └── QuotaExhausted tokens per month
    │       └── Overloaded         the engine is full, and so is the queue for it          (HTTP 503)
    ├── AccountsError              the database of keys and usage                          (exit 3, HTTP 503)
    │   ├── DatabaseTooNew         a newer bethink wrote it
    │   ├── UnknownAccount         no workspace, user or key of that name                  (HTTP 404)
    │   └── AccountExists          that name is taken                                      (HTTP 409)
    └── EngineError                loading or running a model                              (exit 4, HTTP 500/503)
        ├── EngineMissing          the engine's package is not installed
        ├── CapabilityMissing      the engine cannot do what was asked
        └── EngineClosed           the engine was closed or died

`code` is stable and machine-readable; `hint` tells the user what to do.
"""

from __future__ import annotations

from typing import ClassVar


class BethinkError(Exception):
    """Base of all. `str(error)` is one sentence; `hint` is the next step, or empty."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BethinkError):
    code = "invalid_request"
    http_status = 400
    exit_code = 2


class ContextFull(UsageError):
    code = "context_full"


class ExtraMissing(UsageError):
    code = "extra_missing"
    http_status = 501


class StoreError(BethinkError):
    code = "store"
    http_status = 500
    exit_code = 3


class UnknownModel(StoreError):
    code = "unknown_model"
    http_status = 404


class SourceUnreachable(StoreError):
    code = "source_unreachable"
    http_status = 503


class HashMismatch(StoreError):
    code = "hash_mismatch"


class DiskFull(StoreError):
    code = "disk_full"
    http_status = 507


class InvalidModelFile(StoreError):
    code = "invalid_model_file"


class DoesNotFit(StoreError):
    code = "does_not_fit"
    http_status = 507


class SandboxMissing(BethinkError):
    code = "sandbox_missing"
    http_status = 501
    exit_code = 5


class AccessError(BethinkError):
    code = "access"
    http_status = 403
    exit_code = 2


class Unauthorized(AccessError):
    code = "unauthorized"
    http_status = 401


class UnknownKey(Unauthorized):
    code = "unknown_key"


class ExpiredKey(Unauthorized):
    code = "expired_key"


class RevokedKey(Unauthorized):
    code = "revoked_key"


class Forbidden(AccessError):
    code = "forbidden"


class ModelNotAllowed(Forbidden):
    code = "model_not_allowed"


class ScopeMissing(Forbidden):
    code = "scope_missing"


class Delayed(AccessError):
    """Nothing is wrong but the moment: the same request may pass in `retry_after_s`."""

    def __init__(self, message: str, hint: str = "", *, retry_after_s: float) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class LimitReached(Delayed):
    code = "limit_reached"
    http_status = 429


class RateLimited(LimitReached):
    code = "rate_limited"


class TooManyAtOnce(LimitReached):
    code = "too_many_at_once"


class QuotaExhausted(LimitReached):
    code = "quota_exhausted"


class Overloaded(Delayed):
    code = "overloaded"
    http_status = 503


class AccountsError(BethinkError):
    code = "accounts"
    http_status = 503
    exit_code = 3


class DatabaseTooNew(AccountsError):
    code = "database_too_new"


class UnknownAccount(AccountsError):
    code = "unknown_account"
    http_status = 404


class AccountExists(AccountsError):
    code = "account_exists"
    http_status = 409


class EngineError(BethinkError):
    code = "engine"
    exit_code = 4


class EngineMissing(EngineError):
    code = "engine_missing"
    http_status = 501


class CapabilityMissing(EngineError):
    code = "capability_missing"
    http_status = 400


class EngineClosed(EngineError):
    code = "engine_closed"
    http_status = 503
