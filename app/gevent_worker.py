"""gunicorn's gevent worker with the same drain; only imported where GATEWAY_WORKER_CLASS=gevent."""

from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

from app.server import drain


class DrainingGeventWorker(GeventWorker):
    """gunicorn's gevent worker, with a drain before its own end."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain in a greenlet: a signal handler must not wait."""
        end = super().handle_exit
        gevent.spawn(drain, lambda: end(sig, frame))
