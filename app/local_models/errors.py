"""What can be wrong with a local model, in the gateway's tree of errors."""

from app.errors import GatewayError
from app.extras import LOCAL


class LocalModelsMissing(GatewayError):
    """llama.cpp is not installed: it is an optional extra."""

    status, code = 501, "local_models_missing"

    def __init__(self) -> None:
        super().__init__(LOCAL.missing)


class ModelLoading(GatewayError):
    """The model is being loaded, or waits for memory that others use; asking again later helps."""

    status, code = 503, "model_loading"

    def __init__(self, message: str, seconds: float = 5) -> None:
        super().__init__(message, headers={"Retry-After": str(max(1, round(seconds)))})


class ModelLoadFailed(GatewayError):
    """llama.cpp cannot load the file, or its process ended."""

    status, code = 500, "model_load_failed"
