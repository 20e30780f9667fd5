"""Loading a local model before it is asked, telling meanwhile how far it is; prints nothing."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.errors import ClientGone
from app.local_models.errors import ModelLoading
from app.local_models.keeper_client import KeeperClient, Loaded, client_for

if TYPE_CHECKING:
    from app.cancel import CancelToken
    from app.utils.model_resolver import Target

SLICE = 0.2  # seconds between two looks


def keeper_of(order: dict[str, Any]) -> KeeperClient:
    """Return the client of the keeper that an order names."""
    return client_for(order["folder"], order["memory"], order["idle"])


def load(target: "Target", cancel: "CancelToken", show: Callable[[float | None], None]) -> Loaded:
    """Load a local model and return where it answers; `show` gets 0 to 1, or None, several times a second.

    It waits as long as there is progress, since the load ends with this process: ModelLoading is raised after
    GATEWAY_LOCAL_WAIT seconds without any. Raises ModelLoadFailed, LocalModelsMissing and ClientGone, too.
    """
    order: dict[str, Any] = target.options["local"]
    keeper, progress, fresh = keeper_of(order), None, True
    until = time.monotonic() + order["wait"]
    while True:
        try:
            with keeper.lease(order, SLICE, cancel, fresh=fresh) as loaded:
                return loaded
        except ModelLoading:
            if cancel.cancelled:
                raise ClientGone("Cancelled.") from None
            before, progress = progress, keeper.status(order["name"]).progress
            until = time.monotonic() + order["wait"] if progress != before else until
            if time.monotonic() >= until:
                raise
        fresh = False  # what fails while this waits is not tried again
        show(progress)
