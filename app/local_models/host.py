"""A process that holds one model: llama.cpp's own HTTP server, through xllamacpp, on a loopback port with a key.

`python -m app.local_models.host` reads one JSON object from its first line of standard input (see `HostOrder`), loads
the model and writes one JSON line: `{"event": "ready", "port": …}` or `{"event": "failed", "reason": …}`. It ends when
its standard input is closed, so it never outlives whoever started it, and on SIGTERM. A corrupt file may abort the
whole process (4 of 104 did): then there is no line, and whoever waits reads the log's tail and the exit code.
"""

import json
import os
import sys
import threading
import time
from typing import Any

KEY_VARIABLE = "GATEWAY_HOST_KEY"  # not an argument: other users of the machine can read those
LOG_PAUSE, LOG_TRIES = 0.02, 50  # seconds, looks at the log after a failure
SPIN = "OMP_WAIT_POLICY"  # threads of OpenMP that wait actively halve the speed on busy cores


def main() -> None:
    order = json.loads(sys.stdin.readline())
    channel = _take_stdout()
    os.environ.setdefault(SPIN, "passive")
    try:
        server = start_server(order, os.environ.get(KEY_VARIABLE, ""))
    except (RuntimeError, ValueError, TypeError, AttributeError, ImportError) as error:
        _await_log()
        say(channel, event="failed", reason=f"{error}"[:500])
        sys.exit(1)
    port = int(str(server.listening_address).rsplit(":", 1)[-1])
    say(channel, event="ready", port=port)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Event().wait()


def start_server(order: dict[str, Any], key: str) -> Any:
    """Load the model and return llama.cpp's server, which listens already. Raises what xllamacpp raises."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key] if key else []
    params.cors_origins = "http://127.0.0.1"
    params.ui = False  # the server comes with a web page; nobody is to find it
    params.offline = True
    params.use_jinja = True
    params.n_ctx = order["context"]
    params.kv_unified = True  # the answers under way share one cache: one alone may use all of it
    params.n_parallel = order["slots"]
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    params.model_alias = {order["name"]}
    params.endpoint_slots = False
    params.verbosity = 2  # warnings and errors: the log must not grow with each request
    for adapter in order.get("adapters", ()):
        _add_adapter(xllamacpp, params, adapter)
    return xllamacpp.Server(params)


def _add_adapter(xllamacpp: Any, params: Any, path: str) -> None:
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = path, 1.0
    params.lora_adapters = [*params.lora_adapters, adapter]


def _take_stdout() -> int:
    """Keep the real standard output for our lines; what llama.cpp prints goes to standard error."""
    channel = os.dup(1)
    os.dup2(2, 1)
    return channel


def _await_log() -> None:
    """Let llama.cpp's own thread write why it failed: on a busy machine it may be late, and the end may not wait for it."""
    before = -1
    for _ in range(LOG_TRIES):
        size = os.fstat(2).st_size
        if size and size == before:
            return
        before = size
        time.sleep(LOG_PAUSE)


def say(channel: int, **event: object) -> None:
    os.write(channel, json.dumps(event).encode() + b"\n")


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)  # llama.cpp's threads would hold up an ordinary exit; the model's memory goes with the process


if __name__ == "__main__":
    main()
