"""What this machine is: versions, processor, memory, and whether llama.cpp runs on it. Asks no network."""

import os
import platform
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "flask", "gunicorn", "litellm", "urllib3", "orjson", "sqlalchemy", "click",
    "xllamacpp", "opentelemetry-sdk", "psycopg", "gevent",
)  # fmt: skip
LOCAL_PACKAGE = "xllamacpp"
# What its wheel for x86-64 was compiled for; other processors are asked for nothing that they could lack.
NEEDED = ("avx2", "bmi2", "f16c", "fma")
TRY = f"import {LOCAL_PACKAGE}; {LOCAL_PACKAGE}.CommonParams()"
TRY_SECONDS = 60
MAC_FEATURES = ("machdep.cpu.features", "machdep.cpu.leaf7_features")


def versions() -> dict[str, str | None]:
    """Return the versions of Python, the system and the packages that matter; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def processor() -> dict[str, Any]:
    """Return architecture, cores, and which instructions that llama.cpp needs are missing (None: not known)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    architecture = platform.machine()
    missing: list[str] | None = []
    if architecture.lower() in ("x86_64", "amd64"):
        known = features()
        missing = [name for name in NEEDED if name not in known] if known else None
    return {"architecture": architecture, "cores": cores, "missing_instructions": missing}


def features(cpuinfo: str | None = None) -> frozenset[str]:
    """Return the processor's instruction sets in lower case; none where nothing tells."""
    if cpuinfo is None:
        cpuinfo = _read("/proc/cpuinfo") or _ask("sysctl", *MAC_FEATURES)
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.lower().split())
    return frozenset(word for line in cpuinfo.splitlines() for word in line.partition(":")[2].lower().split())


def memory() -> dict[str, int | None]:
    """Return total and available bytes; None where the system does not tell."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = None
    for line in _read("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            available = int(value.split()[0]) * 1024
    return {"total_bytes": total, "available_bytes": available}


def try_local_package(executable: str = sys.executable, code: str = TRY) -> str | None:
    """Import llama.cpp in a process of its own; return why that fails, None when it works."""
    try:
        done = subprocess.run([executable, "-I", "-c", code], capture_output=True, text=True, timeout=TRY_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"its import ends the process ({name})" + (": this processor is too old" if name == "SIGILL" else "")
    return (done.stderr.strip().splitlines() or ["it cannot be imported"])[-1]


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
