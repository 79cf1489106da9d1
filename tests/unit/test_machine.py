"""The machine is read from what the system says, not from what the silicon could do."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bethink.machine import read_cpu, read_memory


def machine(root: Path, flags: str = "avx2 fma", **cgroup: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/cpuinfo").write_text(
        f"processor : 0\nmodel name : Test CPU\nflags : {flags}\n\nprocessor : 1\nmodel name : Other\n"
    )
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in cgroup.items():
        (root / "sys/fs/cgroup" / name.replace("_", ".")).write_text(text)
    return root


def test_instruction_sets_have_the_names_people_know(tmp_path: Path) -> None:
    cpu = read_cpu(machine(tmp_path, "fpu avx2 avx512f avx512_vnni amx_tile amx_bf16"))
    assert cpu.name == "Test CPU"
    assert cpu.instruction_sets == ("AVX2", "AVX-512", "AVX-512 VNNI", "AMX", "AMX-BF16")


def test_amx_that_the_kernel_does_not_give_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def flags(_path: Path) -> dict[str, str]:
        return {"flags": "avx2 amx_tile amx_int8"}

    monkeypatch.setattr("bethink.machine._kernel_lets_amx", lambda: False)
    monkeypatch.setattr("bethink.machine._cpuinfo", flags)
    cpu = read_cpu()
    assert (cpu.instruction_sets, cpu.hidden) == (("AVX2",), ("AMX", "AMX-INT8"))


def test_a_containers_quota_bounds_the_threads(tmp_path: Path) -> None:
    assert read_cpu(machine(tmp_path, cpu_max="100000 100000\n")).n_threads == 1


def test_a_containers_limit_bounds_the_memory(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        memory_max="1073741824\n",
        memory_current="600000000\n",
        memory_stat="anon 1\ninactive_file 100000000\n",
    )
    memory = read_memory(root)
    assert (memory.total, memory.available, memory.limit) == (1 << 30, (1 << 30) - 500_000_000, "container")


def test_without_a_container_the_machine_counts(tmp_path: Path) -> None:
    assert read_memory(machine(tmp_path, memory_max="max\n")).total == psutil.virtual_memory().total


def test_a_system_that_says_nothing_is_no_crash(tmp_path: Path) -> None:
    cpu = read_cpu(tmp_path)
    assert cpu.n_threads >= 1
    assert read_memory(tmp_path).available > 0


def test_the_key_tells_machines_apart(tmp_path: Path) -> None:
    one = read_cpu(machine(tmp_path / "a", "avx2"))
    other = read_cpu(machine(tmp_path / "b", "avx2 avx512f"))
    assert one.key != other.key
    assert one.key == read_cpu(machine(tmp_path / "c", "fpu avx2")).key
