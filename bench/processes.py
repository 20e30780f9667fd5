"""Starts, pins, watches and ends the processes of a measurement. Linux: CPU time and memory are read from /proc."""

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def raise_file_limit() -> None:
    """Allow as many open files as the machine lets us: 1,000 streams need 2,000 sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pin(pid: int, server: bool) -> None:
    """Give the measured server the first core and everything else the others, where there are two."""
    if len(CORES) > 1:
        with contextlib.suppress(ProcessLookupError):  # a thread or child that has ended meanwhile
            os.sched_setaffinity(pid, CORES[:1] if server else CORES[1:])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server: `master` is what was started, `worker` the process that serves."""

    name: str
    port: int
    master: int
    worker: int
    started_ms: float  # exec to the first 200
    log: Path

    def cpu_seconds(self) -> float:
        """User and system time of the worker so far, threads that ended included."""
        words = self._proc("stat").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICKS

    def children(self) -> list[int]:
        """The processes that the worker started, such as the one that writes stored requests."""
        tasks = Path(f"/proc/{self.worker}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def pin_children(self) -> None:
        """Let the worker's children run where everything else runs: they are not what is measured."""
        for pid in self.children():
            pin(pid, server=False)

    def children_seconds(self) -> float:
        """User and system time of the worker's children so far."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.children()]
        return sum(int(words[11]) + int(words[12]) for words in stats) / TICKS

    def rest(self) -> float:
        """Wait until the worker uses no CPU any more, at most some seconds; return `cpu_seconds` then."""
        used, quiet = self.cpu_seconds(), 0
        for _ in range(100):
            time.sleep(0.1)
            now = self.cpu_seconds()
            quiet = quiet + 1 if now - used <= 1 / TICKS else 0
            used = now
            if quiet >= 5:
                break
        return used

    def _proc(self, name: str) -> str:
        try:
            return Path(f"/proc/{self.worker}/{name}").read_text()
        except FileNotFoundError as error:
            raise RuntimeError(f"{self.name}: the worker died under the load\n{self.last_traceback()}") from error

    def last_traceback(self) -> str:
        """Give the end of its log from the last traceback on, if there is one."""
        _, found, text = self.log.read_text("utf-8", "replace").rpartition("Traceback (most recent call last)")
        return (found + text)[:3000] if found else ""

    def memory_mb(self) -> float:
        """Resident memory of the worker now."""
        for line in self._proc("status").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


def get(port: int, path: str) -> int | None:
    """Ask for a path: the status, or None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_for(port: int, path: str, process: "subprocess.Popen[bytes]", seconds: float) -> float:
    """Ask every 5 ms until a 200 comes; give the seconds it took. Raises RuntimeError."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if get(port, path) == 200:
            return time.monotonic() - start
        if process.poll() is not None:
            break
        time.sleep(0.005)
    raise RuntimeError(f"{path} on port {port} gave no 200 within {seconds} s; exit code {process.poll()}")


def worker_of(master: int) -> int:
    """Find gunicorn's one worker."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    if not children:
        raise RuntimeError(f"process {master} has no worker")
    return int(children[-1])


@contextlib.contextmanager
def gunicorn(
    name: str, arguments: list[str], environment: Mapping[str, str], port: int, path: str, log: Path
) -> Iterator[Server]:
    """Run gunicorn with one worker until the block ends. `path` answers 200 as soon as it serves."""
    command = [sys.executable, "-m", "gunicorn", *arguments]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        try:
            seconds = wait_for(port, path, process, 60)
        except RuntimeError as error:
            raise RuntimeError(f"{name}: {error}\n{log.read_text(errors='replace')[-2000:]}") from error
        worker = worker_of(process.pid)
        for task in Path(f"/proc/{worker}/task").iterdir():
            pin(int(task.name), server=True)
        yield Server(name, port, process.pid, worker, seconds * 1000, log)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End one process that we started: politely, then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def fake_upstream() -> Iterator[int]:
    """Run the fake upstream until the block ends; gives its port."""
    command = [sys.executable, "-m", "bench.fake_upstream"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        pin(process.pid, server=False)
        yield int(process.stdout.readline())
    finally:
        end(process)
        assert process.stdout is not None
        process.stdout.close()


def wait_for_ready(server: Server, seconds: float = 90) -> None:
    """Wait until the gateway has loaded LiteLLM, and pin the threads that were born meanwhile. Raises RuntimeError."""
    start = time.monotonic()
    while get(server.port, "/ready") != 200:
        if time.monotonic() - start > seconds:
            raise RuntimeError(f"{server.name} was not ready within {seconds} s")
        time.sleep(0.05)
    for task in Path(f"/proc/{server.worker}/task").iterdir():
        pin(int(task.name), server=True)
