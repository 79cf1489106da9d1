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
