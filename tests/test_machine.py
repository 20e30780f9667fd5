"""What is told of the machine: versions, instructions that llama.cpp needs, memory, and why it does not run."""

import os
import platform
import stat

import pytest

from app import machine


def test_versions_of_what_is_installed_and_what_is_not():
    found = machine.versions()
    assert found["python"] == platform.python_version() and found["flask"] and "xllamacpp" in found


INTEL = "processor\t: 0\nflags\t\t: fpu sse2 avx2 bmi2 f16c fma\n\nprocessor\t: 1\nflags\t\t: fpu\n"
MAC = "machdep.cpu.features: FPU SSE4.2 FMA F16C\nmachdep.cpu.leaf7_features: RDWRFSGS BMI2 AVX2\n"


@pytest.mark.parametrize(("text", "there"), [(INTEL, True), (MAC, True), ("flags : sse2", False), ("", False)])
def test_instructions(text, there):
    assert (set(machine.NEEDED) <= machine.features(text)) is there


def test_processor_and_memory():
    found = machine.processor()
    assert found["cores"] >= 1 and found["architecture"] == platform.machine()
    memory = machine.memory()
    assert memory["total_bytes"] > 2**20
    assert memory["available_bytes"] is None or 0 < memory["available_bytes"] <= memory["total_bytes"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", None),
        ("import no_such_package", "No module named 'no_such_package'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL): this processor is too old"),
        ("import os; os.abort()", "SIGABRT)"),
        ("raise SystemExit(3)", "cannot be imported"),
    ],
)
def test_why_llama_cpp_does_not_run(code, reason):
    said = machine.try_local_package(code=code)
    assert said is None if reason is None else reason in said


def test_a_python_that_is_gone_is_a_reason(tmp_path):
    broken = tmp_path / "python"
    assert "python" in machine.try_local_package(str(broken))
    broken.write_text("#!/nowhere\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    assert os.path.exists(broken) and machine.try_local_package(str(broken))
