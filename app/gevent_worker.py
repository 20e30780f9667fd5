"""gunicorn's gevent worker with the same drain; only imported where GATEWAY_WORKER_CLASS=gevent."""

from typing import Any

from gunicorn.workers.ggevent import GeventWorker

from app.server import begin_drain


class DrainingGeventWorker(GeventWorker):
    """gunicorn's gevent worker, with a drain before its own end."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain in a greenlet: a signal handler must not wait."""
        begin_drain(lambda: super(DrainingGeventWorker, self).handle_exit(sig, frame))
