"""What this machine really gives us: cores we may use, instruction sets that are enabled, memory that is free.

Owns reading it from the operating system, at the moment it is asked. Refuses to believe CPUID alone: a hypervisor or a
kernel may hide what the silicon has, so instruction sets are those the kernel enabled, and AMX counts only when the
kernel also lets a process use its tiles. Limits of a container (cgroup) count as the machine's own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

# cpuinfo's word -> the name people know; in the order in which they matter to a language model
_INSTRUCTION_SETS = {
    "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "avx_vnni": "AVX-VNNI", "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "AVX-512 BF16", "avx512_fp16": "AVX-512 FP16",
    "amx_tile": "AMX", "amx_int8": "AMX-INT8", "amx_bf16": "AMX-BF16", "amx_fp16": "AMX-FP16",
    "asimd": "NEON", "asimddp": "DotProd", "i8mm": "I8MM", "sve": "SVE", "sve2": "SVE2", "bf16": "BF16",
}  # fmt: skip
_ARCH_PRCTL, _ARCH_GET_XCOMP_SUPP, _XTILEDATA = 158, 0x1021, 18


@dataclass(frozen=True, slots=True)
class Cpu:
    """`n_threads` may run at once for us (affinity and quota counted); `n_cores` is how many physical cores that is.

    `hidden` are instruction sets that the processor reports and the system does not let us use.
    """

    name: str
    architecture: str
    n_threads: int
    n_cores: int
    instruction_sets: tuple[str, ...]
    hidden: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for machines on which the same settings are best."""
        return f"{self.name} | {self.n_cores} cores, {self.n_threads} threads | {' '.join(self.instruction_sets)}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `limit` says what bounds `total`: `machine` or `container`."""

    total: int
    available: int
    limit: str = "machine"


def read_cpu(root: Path = Path("/")) -> Cpu:
    """`root` is where /proc and /sys are; tests give their own."""
    info = _cpuinfo(root / "proc/cpuinfo")
    name = info.get("model name", "") or _name_elsewhere()
    flags = set((info.get("flags") or info.get("Features") or _flags_elsewhere()).split())
    n_threads = _usable_threads(root)
    has_amx = "amx_tile" in flags and (_kernel_lets_amx() if root == Path("/") else True)
    usable = {flag for flag in flags if has_amx or not flag.startswith("amx_")}
    return Cpu(
        name=name or platform.machine(),
        architecture=platform.machine(),
        n_threads=n_threads,
        n_cores=max(1, min(n_threads, psutil.cpu_count(logical=False) or n_threads)),
        instruction_sets=_named(usable),
        hidden=_named(flags - usable),
    )


def read_memory(root: Path = Path("/")) -> Memory:
    """What the machine has, or what this container may use of it."""
    memory = psutil.virtual_memory()
    limit, used = _cgroup_memory(root)
    if limit is None or limit >= memory.total:
        return Memory(memory.total, memory.available)
    return Memory(limit, min(memory.available, max(0, limit - used)), "container")


def _named(flags: Iterable[str]) -> tuple[str, ...]:
    found = set(flags)
    return tuple(name for flag, name in _INSTRUCTION_SETS.items() if flag in found)


def _cpuinfo(path: Path) -> Mapping[str, str]:
    """The first processor's lines."""
    try:
        first = path.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _name_elsewhere() -> str:
    return _sysctl("machdep.cpu.brand_string") if sys.platform == "darwin" else platform.processor()


def _flags_elsewhere() -> str:
    """macOS names features one by one; other systems tell us nothing, and we claim nothing."""
    if sys.platform != "darwin":
        return ""
    if platform.machine() == "arm64":
        extra = {"FEAT_DotProd": "asimddp", "FEAT_I8MM": "i8mm", "FEAT_BF16": "bf16"}
        return " ".join(["asimd", *(flag for key, flag in extra.items() if _sysctl(f"hw.optional.arm.{key}") == "1")])
    return f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}".lower()


def _sysctl(key: str) -> str:
    try:
        return subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _kernel_lets_amx() -> bool:
    """Whether the kernel supports tile data for processes. Source: Linux, Documentation/arch/x86/xstate.rst."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    mask = ctypes.c_uint64(0)
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.syscall(_ARCH_PRCTL, _ARCH_GET_XCOMP_SUPP, ctypes.byref(mask))
    return not failed and bool(mask.value >> _XTILEDATA & 1)


def _usable_threads(root: Path) -> int:
    if sys.platform == "linux":
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = _cgroup_words(root, "cpu.max")
    if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
        allowed = min(allowed, max(1, round(int(quota[0]) / int(quota[1]))))
    return allowed


def _cgroup_memory(root: Path) -> tuple[int | None, int]:
    """(limit, what is used and cannot be dropped). Caches of files can be dropped."""
    limit, current = _cgroup_words(root, "memory.max"), _cgroup_words(root, "memory.current")
    if not limit or not limit[0].isdigit() or not current:
        return None, 0
    stat = _cgroup_words(root, "memory.stat")
    facts = dict(zip(stat[::2], stat[1::2], strict=False))
    return int(limit[0]), max(0, int(current[0]) - int(facts.get("inactive_file", 0)))


def _cgroup_words(root: Path, file: str) -> list[str]:
    """Of this process's own group, or of the root group (which is what a container sees as its own)."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    for folder in (root / "sys/fs/cgroup" / own.lstrip("/"), root / "sys/fs/cgroup"):
        try:
            return (folder / file).read_text(encoding="utf-8").split()
        except OSError:
            continue
    return []
