"""Hostile programs try what they can; each test says what they must not reach."""

# ruff: noqa: E501  a hostile program is easier to read in one line

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from bethink.verify.sandbox import Limits, Sandbox

QUICK = Limits(cpu_s=2, wall_s=3)


def soon(holds: Callable[[], object], *, within_s: float = 20.0) -> bool:
    """Whether it holds before the time is over; a busy machine is given time, an idle one is not waited for."""
    until = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def processes_of_sandboxes() -> set[int]:
    """Every interpreter that runs inside walls now, by its argument."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"def boot(user)" in line and b"/python/bin/python" in line.split(b"\0")[0]:
                found.add(int(entry.name))
    return found


def attempt(sandbox: Sandbox, program: str, limits: Limits = QUICK) -> str:
    """What a program prints that must run to its end."""
    ran = sandbox.run(program, limits=limits)
    assert ran.ended == "ok", ran
    return ran.stdout


# ---- what is not there


def test_a_program_reads_its_input_and_writes_its_output(sandbox: Sandbox) -> None:
    ran = sandbox.run("import sys\nprint(input()[::-1])\nprint('e', file=sys.stderr)", stdin="größe\n")
    assert (ran.ended, ran.stdout, ran.stderr, ran.exit_code) == ("ok", "eßörg\n", "e\n", 0)


def test_the_environment_is_empty(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_TEST", "1")
    assert attempt(sandbox, "import os\nprint(dict(os.environ))") == "{}\n"


def test_nothing_of_the_machine_can_be_read_but_the_interpreter(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    places = ["/etc/passwd", "/root", "/home", "/proc", "/proc/self/environ", "/sys", "/var", "/tmp", "/work",
              str(secret), "/dev/shm", "/dev/mem", "/dev/sda", "/dev/tty", "/run", __file__]  # fmt: skip
    program = f"""
import os
for place in {places!r}:
    try:
        print(place, os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(20))
    except OSError:
        pass
print(sorted(os.listdir("/")))
"""
    lines = attempt(sandbox, program).splitlines()
    assert len(lines) == 1, lines
    assert set(eval(lines[0])) <= {"dev", "lib", "lib64", "python", "scratch", "usr"}


def test_packages_installed_beside_the_interpreter_cannot_be_read(sandbox: Sandbox) -> None:
    program = """
import os, sys
top = os.path.dirname(os.__file__)
print([os.listdir(os.path.join(top, name)) for name in os.listdir(top) if name.endswith("-packages")])
"""
    assert all(not packages for packages in eval(attempt(sandbox, program)))


def test_the_interpreters_own_modules_cannot_be_written(sandbox: Sandbox) -> None:
    program = """
import json, os, sys
written = []
for place in (json.__file__, os.__file__, sys.executable, "/usr/lib/x", "/python/lib/x.py", "/x", "/dev/x", "/lib/x"):
    for mode in ("r+b", "wb"):
        try:
            open(place, mode).close()
            written.append(place)
        except OSError:
            pass
for act in (lambda: os.remove(json.__file__), lambda: os.rename("/python", "/scratch/p"), lambda: os.chmod(os.__file__, 0o777)):
    try:
        act()
        written.append("acted")
    except OSError:
        pass
print(written)
"""
    assert attempt(sandbox, program) == "[]\n"


def test_there_is_no_network(sandbox: Sandbox) -> None:
    program = """
import socket
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM), (16, socket.SOCK_RAW)):
    try:
        socket.socket(family, kind)
        print("socket", family)
    except OSError as error:
        pass
try:
    socket.create_connection(("127.0.0.1", 22), 1)
    print("connected")
except OSError:
    print("refused")
"""
    assert attempt(sandbox, program) == "refused\n"


def test_there_is_no_way_to_more_rights(sandbox: Sandbox) -> None:
    program = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    return libc.syscall(*args)
# unshare, mount, setns, ptrace, bpf, keyctl, io_uring_setup, userfaultfd, memfd_create, shmget, prctl, chroot (x86-64)
numbers = {"unshare": (272, 0x10000000), "mount": (165, 0, 0, 0, 0, 0), "setns": (308, 0, 0), "ptrace": (101, 0, 0, 0, 0),
           "bpf": (321, 0, 0, 0), "keyctl": (250, 0, 0, 0, 0, 0), "io_uring": (425, 8, 0), "userfaultfd": (323, 0),
           "memfd": (319, b"x", 0), "shmget": (29, 0, 1 << 20, 0o1666), "chroot": (161, b"/scratch"), "clone_newuser": (56, 0x10000011, 0, 0, 0, 0)}
if os.uname().machine == "x86_64":
    print([name for name, args in numbers.items() if call(*args) != -1])
else:
    print([])
for act in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])):
    try:
        act()
        print("became root", os.getuid())
    except OSError:
        pass
print(os.getuid() == 0)
"""
    assert attempt(sandbox, program) == "[]\nFalse\n"


def test_no_descriptor_of_the_host_is_open_inside(sandbox: Sandbox) -> None:
    program = """
import os
found = []
for fd in range(3, 1024):
    try:
        os.fstat(fd)
        found.append(fd)
    except OSError:
        pass
print(found)
"""
    assert attempt(sandbox, program) == "[]\n"


def test_the_terminal_cannot_be_written_into(sandbox: Sandbox) -> None:
    program = """
import fcntl
try:
    fcntl.ioctl(0, 0x5412, b"x")
    print("typed")
except OSError:
    print("refused")
"""
    assert attempt(sandbox, program) == "refused\n"


# ---- bombs


def test_a_fork_bomb_starts_no_process(sandbox: Sandbox) -> None:
    program = """
import os, subprocess, sys
for act in (os.fork, os.forkpty, lambda: subprocess.run([sys.executable, "-c", ""]), lambda: os.posix_spawn(sys.executable, ["p"], {})):
    try:
        act()
        print("forked")
    except OSError:
        pass
print("alone")
"""
    assert attempt(sandbox, program) == "alone\n"
    ran = sandbox.run("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", limits=Limits(wall_s=1))
    assert ran.ended == "timed_out"


def test_raw_clone_calls_start_no_process(sandbox: Sandbox) -> None:
    program = """
import ctypes, os
libc = ctypes.CDLL(None)
calls = {"x86_64": [(57,), (58,), (56, 17, 0, 0, 0, 0), (435, 0, 0)], "aarch64": [(220, 17, 0, 0, 0, 0), (435, 0, 0)]}
print([libc.syscall(*args) for args in calls[os.uname().machine]])
"""
    assert set(eval(attempt(sandbox, program))) == {-1}


def test_a_bomb_of_threads_stops_at_the_limit(sandbox: Sandbox) -> None:
    program = """
import threading, time
threading.stack_size(65536)
n = 0
try:
    while n < 10_000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        n += 1
except RuntimeError:
    pass
print(n, flush=True)
time.sleep(1)
"""
    ran = sandbox.run(program, limits=Limits(wall_s=5, n_processes=16))
    assert ran.ended in ("ok", "killed")
    assert ran.ended == "killed" or int(ran.stdout) <= 18


def test_threads_within_the_limit_run(sandbox: Sandbox) -> None:
    program = """
import threading
found = []
threads = [threading.Thread(target=found.append, args=(n,)) for n in range(8)]
[it.start() for it in threads]
[it.join() for it in threads]
print(sorted(found))
"""
    assert attempt(sandbox, program) == "[0, 1, 2, 3, 4, 5, 6, 7]\n"


@pytest.mark.parametrize(
    "program",
    [
        "x = bytearray(1 << 31)",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "x = 'a'\nwhile True: x += x",
        "import mmap\nx = [mmap.mmap(-1, 1 << 26) for _ in range(1000)]",
    ],
)
def test_a_memory_bomb_is_stopped_at_its_limit(sandbox: Sandbox, program: str) -> None:
    ran = sandbox.run(program, limits=Limits(memory_bytes=256 << 20, wall_s=60))
    assert ran.ended in ("memory", "error", "killed"), ran
    assert ran.ended == "memory" or "Cannot allocate" in ran.stderr


def test_a_disk_filler_fills_its_own_scratch_only(sandbox: Sandbox) -> None:
    program = """
import os
total = 0
try:
    for name in range(1000):
        with open(f"f{name}", "wb") as file:
            for _ in range(10):
                total += file.write(bytes(1 << 20))
except OSError as error:
    print(error.errno, total >> 20)
for place in ("/", "/dev", "/python", "/usr", "/tmp", "/var/tmp", "/dev/shm"):
    try:
        open(place + "/f", "wb").write(bytes(1 << 20))
        print("wrote", place)
    except OSError:
        pass
"""
    lines = attempt(sandbox, program, Limits(file_bytes=16 << 20)).splitlines()
    number, written = map(int, lines[0].split())
    assert lines[1:] == []
    assert number in (27, 28)
    assert written <= 16


def test_a_million_files_are_stopped(sandbox: Sandbox) -> None:
    ran = sandbox.run("n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1", limits=Limits(wall_s=10))
    assert (ran.ended, "files" in ran.why) == ("killed", True)
    assert ran.seconds < 5


def test_open_files_are_limited(sandbox: Sandbox) -> None:
    program = (
        "import os\nn = 0\ntry:\n    while True:\n        os.dup(0)\n        n += 1\nexcept OSError:\n    print(n)"
    )
    assert int(attempt(sandbox, program, Limits(n_files=20))) <= 20


def test_output_without_end_is_cut_at_its_limit(sandbox: Sandbox) -> None:
    for stream in ("stdout", "stderr"):
        program = f"import sys\nwhile True: sys.{stream}.write('x' * 5000)"
        ran = sandbox.run(program, limits=Limits(output_bytes=100_000))
        assert ran.ended == "output"
        assert len(ran.stdout) + len(ran.stderr) == 100_000


def test_recursion_without_end_ends(sandbox: Sandbox) -> None:
    assert sandbox.run("def f(): f()\nf()").ended == "error"
    deep = "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f([x].__class__.__call__([x]))\nf(0)"
    assert sandbox.run(deep, limits=QUICK).ended in ("error", "memory", "killed", "timed_out")
    nested = "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)"
    assert sandbox.run(nested, limits=QUICK).ended in ("error", "killed")


# ---- time


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time\ntime.sleep(100)",
        "input(); import time; time.sleep(100)",
        "10 ** 10 ** 10",
        "import re\nre.match('(a+)+$', 'a' * 50 + 'b')",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()",
        "import atexit, time\natexit.register(time.sleep, 100)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import os, time\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(100)",
        "import os, signal, time\n[signal.signal(n, signal.SIG_IGN) for n in range(1, 65) if n not in (9, 19, 32, 33)]\ntime.sleep(100)",
    ],
)
def test_whatever_takes_too_long_is_ended(sandbox: Sandbox, program: str) -> None:
    ran = sandbox.run(program, stdin="x\n", limits=Limits(wall_s=1))
    assert ran.ended == "timed_out", ran
    assert ran.seconds < 30  # of the hundred it wants


def test_the_processors_time_is_limited_whatever_signals_are_ignored(sandbox: Sandbox) -> None:
    program = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    ran = sandbox.run(program, limits=Limits(cpu_s=1, wall_s=20))
    assert ran.ended in ("killed", "timed_out")
    assert ran.seconds < 15


# ---- signals and what is left behind


def test_signals_to_everybody_reach_nobody_else(sandbox: Sandbox) -> None:
    mine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        program = """
import os, signal
for pid in (-1, 1, os.getppid(), PID, PARENT, 0):
    for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        if pid == 0:
            continue
        try:
            os.kill(pid, number)
        except OSError:
            pass
print("done")
""".replace("PID", str(mine.pid)).replace("PARENT", str(os.getpid()))
        for _ in range(3):
            sandbox.run(program, limits=QUICK)
        assert mine.poll() is None
        assert sandbox.run("print(1)").stdout == "1\n"
    finally:
        mine.kill()
        mine.wait()


def test_priority_and_limits_cannot_be_raised(sandbox: Sandbox) -> None:
    program = """
import resource
for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"):
    number = getattr(resource, name)
    try:
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("raised", name)
    except (OSError, ValueError):
        pass
"""
    assert attempt(sandbox, program) == ""


def test_one_program_leaves_nothing_for_the_next(sandbox: Sandbox) -> None:
    leave = "import builtins, json, os\nbuiltins.left = 1\njson.left = 1\nopen('/scratch/left', 'w').close()"
    assert sandbox.run(leave).ended == "ok"
    look = "import builtins, json, os\nprint(hasattr(builtins, 'left'), hasattr(json, 'left'), os.listdir('/scratch'))"
    for _ in range(12):
        assert attempt(sandbox, look) == "False False ['program.py']\n"


def test_a_daemon_dies_with_its_program(sandbox: Sandbox) -> None:
    program = """
import os, threading, time
os.setsid() if os.getpid() != os.getsid(0) else None
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
try:
    if os.fork() == 0 and os.fork() == 0:
        time.sleep(100)
except OSError:
    pass
os._exit(0)
"""
    assert sandbox.run(program, limits=QUICK).ended in ("ok", "error")
    assert soon(lambda: not any(n_threads(pid) > 1 for pid in processes_of_sandboxes()))


def n_threads(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


# ---- the sandbox itself


def test_programs_run_side_by_side(sandbox: Sandbox) -> None:
    program = "import time\nprint(time.monotonic())\ntime.sleep(2)\nprint(time.monotonic())"
    with ThreadPoolExecutor(4) as threads:
        runs = list(threads.map(sandbox.run, [program] * 4))
    spans = sorted(tuple(map(float, ran.stdout.split())) for ran in runs)
    assert any(later[0] < earlier[1] for earlier, later in pairwise(spans))


def test_programs_of_every_kind_of_text_are_only_text(sandbox: Sandbox) -> None:
    assert sandbox.run("").ended == "ok"
    assert sandbox.run("\0").ended == "error"
    assert sandbox.run("\ud800").ended == "error"
    assert sandbox.run("x = 1\n" * 200_000).ended == "ok"
    assert sandbox.run("import sys\nprint(len(sys.stdin.read()))", stdin="x" * 3_000_000).stdout == "3000000\n"
    assert sandbox.run("print(1)", stdin="x" * 3_000_000).stdout == "1\n"  # nobody reads it


def test_a_program_ends_with_its_own_exit_code(sandbox: Sandbox) -> None:
    assert [sandbox.run(f"import sys; sys.exit({code})").exit_code for code in (0, 3, "'words'")] == [0, 3, 1]
    ran = sandbox.run("import os\nos.abort()")
    assert (ran.ended, ran.exit_code) == ("killed", 134)


def test_nothing_is_left_when_bethink_itself_is_killed(sandbox: Sandbox) -> None:
    del sandbox  # only for its skip
    script = """
import threading, time
from bethink.verify.sandbox import open_sandbox
sandbox = open_sandbox()
threading.Thread(target=sandbox.run, args=("import time\\ntime.sleep(14)",)).start()
time.sleep(0.5)
print("running", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as own:
        assert own.stdout
        assert own.stdout.readline() == b"running\n"
        theirs = {child.pid for child in psutil.Process(own.pid).children(recursive=True)} & processes_of_sandboxes()
        assert theirs
        own.kill()
    assert soon(lambda: not theirs & processes_of_sandboxes())


def test_an_interpreter_killed_while_it_waited_is_not_used(sandbox: Sandbox) -> None:
    time.sleep(0.5)
    for pid in processes_of_sandboxes():
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    assert [sandbox.run(f"print({n})").stdout for n in range(12)] == [f"{n}\n" for n in range(12)]


def test_closing_ends_every_process(sandbox: Sandbox) -> None:
    del sandbox  # only for its skip
    script = """
import psutil, threading, time
from bethink.verify.sandbox import open_sandbox
children = lambda: [c for c in psutil.Process().children(recursive=True) if c.status() != psutil.STATUS_ZOMBIE]
with open_sandbox() as sandbox:
    assert sandbox.run("print(1)").ended == "ok"
    while not children(): time.sleep(0.02)
sandbox.close()
until = time.monotonic() + 20
while (children() or threading.active_count() > 1) and time.monotonic() < until: time.sleep(0.02)
print(len(children()), threading.active_count())
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout == "0 1\n"
