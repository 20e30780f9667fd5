"""The gevent worker serves and ends like the other one."""

import http.client
import importlib.util
import signal

import pytest

from tests.gateway import Gateway
from tests.test_server import ask, model_map

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed: its worker is NOT TESTED")]


def test_it_serves_and_ends(tmp_path):
    with Gateway(tmp_path, OPENCODE_CONFIG=model_map(tmp_path), GATEWAY_WORKER_CLASS="gevent") as gateway:
        assert b'"finish_reason":"stop"' in ask(gateway)
        assert ask(gateway, stream=True).endswith(b"data: [DONE]\n\n")
        kept = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=15)
        kept.request("GET", "/health")
        assert kept.getresponse().read()  # its connection stays open: nobody waits for it
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 0
        kept.close()
        assert "Traceback" not in gateway.output()
