"""GET /metrics: what was counted, for Prometheus; in OpenMetrics for whoever accepts that."""

from collections.abc import Iterable

from flask import Blueprint, Response, current_app, request

from app.config import Settings
from app.local_models.keeper_client import Status, client_for

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def metrics() -> Response:
    """Tell the sums over all workers of this server since it started. It is no work of the gateway: not counted itself."""
    from prometheus_client.exposition import choose_encoder  # 70 ms that no start should wait for

    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(Counted()), content_type=content_type, headers={"Cache-Control": "no-store"})


class Counted:
    """What prometheus_client asks for the families."""

    def collect(self) -> Iterable:
        from app.metric_families import families

        return families(current_app.extensions["metrics"], loaded(current_app.extensions["settings_store"].current))


def loaded(settings: Settings) -> list[Status]:
    """Return the states of the local models, asked of the process that keeps them; nothing is started for it."""
    return client_for(str(settings.data_dir), 0, 0).statuses() if settings.local_models else []
