"""The walls: how bubblewrap is called so that nothing but the interpreter is inside.

What always holds inside: no network; the interpreter, its standard library and the system's shared libraries,
read-only; one scratch folder of limited size; no /proc; an empty environment; own processes, IPC and host name. Run
as root, the program gets a user id of its own, which owns nothing and has no capability; run as anybody else, a user
namespace.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bethink.verify.sandbox.syscalls import seccomp_program

SCRATCH = "/scratch"
INSIDE = Path("/python")
_DYNAMIC_USERS = (61184, 4000)
"""First id and how many: the range systemd keeps for users that exist for one service only."""


@dataclass(slots=True)
class Walls:
    """Makes the command line of one isolated interpreter after the other."""

    bwrap: str
    seccomp: bytes
    gives_user: bool
    _mounts: list[str] = field(default_factory=list[str])
    _users: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def find(cls) -> Walls | str:
        """The walls of this machine, or why there are none. Whether they hold only a trial tells."""
        if sys.platform != "linux":
            return f"the sandbox needs Linux, this is {sys.platform}"
        bwrap, seccomp = shutil.which("bwrap"), seccomp_program()
        if bwrap is None:
            return "bwrap (bubblewrap) is not installed"
        if seccomp is None:
            return "the sandbox knows the system calls of x86-64 and AArch64 only"
        walls = cls(bwrap, seccomp, gives_user=os.geteuid() == 0 and _has_ids())
        walls._mounts = [*_system(), *_interpreter()]
        return walls

    def next_user(self) -> int | None:
        """The user id of the next program; None: it keeps the one that it is given by its user namespace."""
        return _DYNAMIC_USERS[0] + next(self._users) % _DYNAMIC_USERS[1] if self.gives_user else None

    def command(self, scratch_bytes: int, seccomp_fd: int, info_fd: int) -> list[str]:
        """bwrap and its options, to be followed by the interpreter's own."""
        own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        if self.gives_user:
            own += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            own += ["--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
        return [
            self.bwrap, *own, "--hostname", "sandbox", "--die-with-parent", "--new-session",
            "--clearenv", "--setenv", "LD_LIBRARY_PATH", f"{INSIDE}/lib",
            *self._mounts,
            "--perms", "1777", "--size", str(scratch_bytes), "--tmpfs", SCRATCH, "--chdir", SCRATCH,
            "--remount-ro", "/", "--seccomp", str(seccomp_fd), "--info-fd", str(info_fd),
            f"{INSIDE}/bin/python",
        ]  # fmt: skip


def _has_ids() -> bool:
    """Whether this user namespace (the first, or a container's) has the ids that are given away."""
    first, count = _DYNAMIC_USERS
    rows = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(start <= first and first + count <= start + size for start, _, size in rows)


def _system() -> list[str]:
    """The shared libraries, where the loader looks for them, and two devices."""
    mounts: list[str] = ["--perms", "0755", "--dir", "/usr", "--perms", "0755", "--dir", "/usr/lib"]
    for name in ("lib", "lib64"):
        top = Path("/", name)
        if top.is_symlink():
            mounts += ["--symlink", str(top.readlink()), str(top)]
        elif top.is_dir():
            mounts += ["--ro-bind", str(top), str(top)]
    multiarch = [path for path in Path("/usr/lib").glob("*-linux-gnu*") if path.is_dir()]
    for folder in (Path("/usr/lib64"), *multiarch):
        if folder.is_dir() and not folder.is_symlink():
            mounts += ["--ro-bind", str(folder), str(folder)]
    mounts += ["--perms", "0755", "--dir", "/dev"]
    for device in ("/dev/null", "/dev/urandom"):
        mounts += ["--dev-bind", device, device]
    return mounts


def _interpreter() -> list[str]:
    """The Python that runs this, less what was installed into it."""
    base = Path(sys.base_prefix)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    binary = next((it for it in (base / "bin" / name, base / "bin" / "python3") if it.exists()), Path(sys.executable))
    library = base / "lib" / name
    mounts: list[str] = []
    for folder in (INSIDE, INSIDE / "bin", INSIDE / "lib"):
        mounts += ["--perms", "0755", "--dir", str(folder)]
    mounts += ["--ro-bind", str(binary.resolve()), str(INSIDE / "bin" / "python")]
    mounts += ["--ro-bind", str(library), str(INSIDE / "lib" / name)]
    is_conda = (base / "conda-meta").is_dir()
    for file in sorted((base / "lib").glob("*.so*" if is_conda else "libpython*.so*")):
        mounts += ["--ro-bind", str(file.resolve()), str(INSIDE / "lib" / file.name)]
    for folder in ("site-packages", "dist-packages"):
        if (library / folder).is_dir():
            mounts += [
                "--size",
                "4096",
                "--tmpfs",
                str(INSIDE / "lib" / name / folder),
                "--remount-ro",
                str(INSIDE / "lib" / name / folder),
            ]
    return mounts
