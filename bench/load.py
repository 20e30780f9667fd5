"""Sends many requests at once and says how they went: a load tool on asyncio, run in a process of its own.

`python -m bench.load` reads one JSON object (port, path, body, requests, concurrency, seconds) on standard input and
prints one: how many were good, chunks, latencies. Connections are kept; it is bounded in time and in count.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.processes import ROOT, pin, raise_file_limit


@dataclass
class Job:
    """What to send. `seconds` bounds the whole run."""

    port: int
    path: str
    body: str = ""  # empty: a GET
    requests: int = 100
    concurrency: int = 8
    seconds: float = 60.0


@dataclass
class Outcome:
    """How it went. Latencies in ms, of good answers alone."""

    good: int = 0
    bad: int = 0
    chunks: int = 0
    seconds: float = 0.0
    first_byte_p50: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    errors: list[str] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One kept connection: sends a request, collects the answer to its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.lost = False
        self._answer: asyncio.Future[bytes] | None = None
        self._reset()

    def _reset(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._needed: int | None = None  # bytes in all; -1: chunked; None: the head is not complete
        self._tail = b""
        self.first_byte = 0.0

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        self._reset()
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"closed after {self._size} bytes"))

    def data_received(self, data: bytes) -> None:
        self.first_byte = self.first_byte or time.monotonic()
        self._parts.append(data)
        self._size += len(data)
        self._tail = (self._tail + data)[-7:]
        if self._needed is None:
            self._read_head()
        ended = self._tail == b"\r\n0\r\n\r\n" if self._needed == -1 else self._size == self._needed
        if ended and self._answer is not None and not self._answer.done():
            self._answer.set_result(b"".join(self._parts))

    def _read_head(self) -> None:
        head, separator, _ = b"".join(self._parts).partition(b"\r\n\r\n")
        if separator:
            _, found, after = head.lower().partition(b"content-length:")
            self._needed = len(head) + 4 + int(after.split(b"\r\n", 1)[0]) if found else -1


def request_bytes(job: Job) -> bytes:
    if not job.body:
        return f"GET {job.path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    body = job.body.encode()
    head = f"POST {job.path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def complaint(answer: bytes, stream: bool) -> str | None:
    """Say what is wrong with an answer."""
    if not answer.startswith(b"HTTP/1.1 200"):
        return answer[:300].decode("utf-8", "replace")
    if stream and (b"data: [DONE]" not in answer[-60:] or b'"error":' in answer):
        return "bad stream: " + answer[-300:].decode("utf-8", "replace")
    return None


async def run(job: Job) -> Outcome:
    """Send all requests of a job."""
    outcome, left, request = Outcome(), iter(range(job.requests)), request_bytes(job)
    times: list[tuple[float, float]] = []
    stream = '"stream": true' in job.body or '"stream":true' in job.body

    async def work() -> None:
        client: Client | None = None
        for _ in left:
            try:
                if client is None or client.lost:
                    loop = asyncio.get_running_loop()
                    _, client = await loop.create_connection(Client, "127.0.0.1", job.port)
                start = time.monotonic()
                answer = await client.ask(request)
            except OSError as error:
                problem: str | None = repr(error)
            else:
                problem = complaint(answer, stream)
            if problem is not None:
                outcome.bad += 1
                outcome.errors = [*outcome.errors, problem][:3]
                continue
            assert client is not None
            outcome.good += 1
            outcome.chunks += answer.count(b"data: {")
            times.append((client.first_byte - start, time.monotonic() - start))
        if client is not None:
            client.transport.abort()

    start = time.monotonic()
    try:
        await asyncio.wait_for(asyncio.gather(*(work() for _ in range(job.concurrency))), job.seconds)
    except asyncio.TimeoutError:
        outcome.errors.append(f"not done within {job.seconds} s")
    outcome.seconds = time.monotonic() - start
    outcome.bad = job.requests - outcome.good
    outcome.first_byte_p50 = percentile([first for first, _ in times], 0.5)
    outcome.p50 = percentile([whole for _, whole in times], 0.5)
    outcome.p99 = percentile([whole for _, whole in times], 0.99)
    return outcome


def percentile(seconds: list[float], share: float) -> float:
    """Give a percentile in ms; 0 for nothing."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000 if seconds else 0.0


def send(job: Job) -> Outcome:
    """Run a job in a process of its own and wait for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pin(process.pid, server=False)
    output, _ = process.communicate(json.dumps(asdict(job)).encode(), timeout=job.seconds + 30)
    return Outcome(**json.loads(output))


if __name__ == "__main__":
    raise_file_limit()
    print(json.dumps(asdict(asyncio.run(run(Job(**json.load(sys.stdin)))))))
