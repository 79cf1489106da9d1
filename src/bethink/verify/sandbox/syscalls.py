"""The system calls that code in the sandbox may make, as a seccomp program.

Everything that is not listed fails with "operation not permitted": new processes, sockets to anywhere, tracing, mounts,
namespaces, keys, shared memory that no limit counts. Threads may be started, processes not, so one process's limits are
the program's limits. Calls of another architecture than the machine's own kill the program.

Source: classic BPF as the kernel documents it (Documentation/userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

_ALLOWED = """
read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 open:2:- openat:257:56 close:3:57
close_range:436:436 lseek:8:62 stat:4:- fstat:5:80 lstat:6:- newfstatat:262:79 statx:332:291 access:21:-
faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 getdents:78:- getdents64:217:61 getcwd:79:17
chdir:80:49 fchdir:81:50 rename:82:- renameat:264:38 renameat2:316:276 mkdir:83:- mkdirat:258:34 rmdir:84:-
unlink:87:- unlinkat:263:35 symlink:88:- symlinkat:266:36 chmod:90:- fchmod:91:52 fchmodat:268:53 utimensat:280:88
truncate:76:45 ftruncate:77:46 fsync:74:82 fdatasync:75:83 flock:73:32 fcntl:72:25 umask:95:166 statfs:137:43
fstatfs:138:44 sendfile:40:71 copy_file_range:326:285 mmap:9:222 mprotect:10:226 munmap:11:215 mremap:25:216
madvise:28:233 brk:12:214 dup:32:23 dup2:33:- dup3:292:24 pipe:22:- pipe2:293:59 select:23:- pselect6:270:72
poll:7:- ppoll:271:73 epoll_create:213:- epoll_create1:291:20 epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22
eventfd2:290:19 socketpair:53:199 sendto:44:206 recvfrom:45:207 shutdown:48:210 nanosleep:35:101
clock_nanosleep:230:115 clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:- times:100:153
getitimer:36:102 setitimer:38:103 alarm:37:- pause:34:- rt_sigaction:13:134 rt_sigprocmask:14:135
rt_sigreturn:15:139 rt_sigpending:127:136 rt_sigtimedwait:128:137 rt_sigsuspend:130:133 sigaltstack:131:132
kill:62:129 tgkill:234:131 tkill:200:130 restart_syscall:219:128 futex:202:98 set_robust_list:273:99
get_robust_list:274:100 set_tid_address:218:96 rseq:334:293 membarrier:324:283 arch_prctl:158:- getcpu:309:168
sched_yield:24:124 sched_getaffinity:204:123 sched_getparam:143:121 sched_getscheduler:145:120 getpriority:140:141
getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177
getgroups:115:158 getresuid:118:148 getresgid:120:150 getpgid:121:155 getpgrp:111:- getsid:124:156 setsid:112:157
setpgid:109:154 setgroups:116:159 setresgid:119:149 setresuid:117:147 uname:63:160 sysinfo:99:179 getrusage:98:165
getrlimit:97:163 setrlimit:160:164 prlimit64:302:261 getrandom:318:278 wait4:61:260 waitid:247:95 execve:59:221
exit:60:93 exit_group:231:94
"""
"""Name, number on x86-64, number on AArch64 (a dash: the call is not there)."""

_CLONE_THREAD = 0x00010000
_NEW_NAMESPACES = 0x7E020080
_TERMINAL_AND_FLAGS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what Python asks of its files."""

_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int


_ARCHITECTURES = {
    "x86_64": _Architecture(0xC000003E, 1, 56, 435, 16),
    "aarch64": _Architecture(0xC00000B7, 2, 220, 435, 29),
}


def seccomp_program(machine: str = "") -> bytes | None:
    """The filter as bwrap's `--seccomp` reads it; None where there is no table for this processor."""
    architecture = _ARCHITECTURES.get(machine or platform.machine())
    return b"".join(_instructions(architecture)) if architecture else None


def allowed_numbers(machine: str) -> dict[str, int]:
    """The calls that are allowed whatever their arguments."""
    column = _ARCHITECTURES[machine].column
    rows = [row.split(":") for row in _ALLOWED.split()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def _instructions(on: _Architecture) -> list[bytes]:
    refuse = _RETURN, 0, 0, _ERROR | errno.EPERM
    allow = _RETURN, 0, 0, _ALLOW
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, on.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, 0x40000000),  # the x32 calls of x86-64
        (_RETURN, 0, 0, _KILL),
    ]
    for number in allowed_numbers(next(name for name, it in _ARCHITECTURES.items() if it is on)).values():
        steps += [(_EQUAL, 0, 1, number), allow]
    # The C library then falls back to clone, whose flags can be read here.
    steps += [(_EQUAL, 0, 1, on.clone3), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    steps += [
        (_EQUAL, 0, 5, on.clone),
        (_LOAD, 0, 0, _ARGUMENTS_AT),
        (_ANY_BIT, 2, 0, _NEW_NAMESPACES),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        allow,
        refuse,
    ]
    steps += [(_EQUAL, 1, 0, on.ioctl), refuse, (_LOAD, 0, 0, _ARGUMENTS_AT + 8)]
    for request in _TERMINAL_AND_FLAGS:
        steps += [(_EQUAL, 0, 1, request), allow]
    return [struct.pack("=HBBI", *step) for step in [*steps, refuse]]
