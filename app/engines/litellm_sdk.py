"""Calls upstreams through LiteLLM. The only file that imports it, on first use: it costs 3 s of CPU and 180 MB.

Providers that speak OpenAI's dialect are read off the wire (see litellm_transport); the others are translated by LiteLLM.
"""

import gc
import os
import threading
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from copy import deepcopy
from typing import Any

from app.call import UpstreamCall
from app.engines import openai_wire, relay
from app.engines.litellm_transport import NO_KEY, Tap, WireTransport, using
from app.errors import ClientGone, GatewayError, UpstreamError, UpstreamTimeout, log
from app.utils.json_text import dump
from app.utils.model_resolver import Target

# Fields that LiteLLM knows by name and translates; all others go through `extra_body` as they are.
TRANSLATED = frozenset(
    """model messages tools tool_choice temperature top_p n stop max_tokens max_completion_tokens presence_penalty
    frequency_penalty logit_bias user response_format seed logprobs top_logprobs parallel_tool_calls reasoning_effort
    stream_options functions function_call modalities prediction audio service_tier web_search_options""".split()
)
NOT_TOLD = object()
CHAT_PATH = "/chat/completions"
UNSENT = [{"role": "user", "content": "."}]
NEVER_READ = 10**9  # "the model is repeating the same chunk": four spaces 100 times are no fault

_tapped = [True]  # emptied when LiteLLM turns out not to send over the wire
_lock = threading.Lock()
_ready = threading.Event()


def load() -> Any:
    """Import and set up LiteLLM once; return it. Safe to call from a thread at start-up."""
    with _lock:
        if not _ready.is_set():
            _set_up()
            _ready.set()
        import litellm

        return litellm


def is_loaded() -> bool:
    return _ready.is_set()


def _set_up() -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import asks the network for prices
    os.environ.setdefault("REPEATED_STREAMING_CHUNK_LIMIT", str(NEVER_READ))
    collecting = gc.isenabled()
    gc.disable()  # a third of the import's time
    try:
        import httpx
        import litellm
    finally:
        if collecting:
            gc.enable()
    litellm.client_session = httpx.Client(transport=WireTransport())
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = NEVER_READ
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True  # else each call of a "llama-3" waits for huggingface.co
    litellm.drop_params = True
    litellm.suppress_debug_info = True
    litellm.disable_streaming_logging = True
    litellm.turn_off_message_logging = True
    litellm.success_callback, litellm.failure_callback, litellm.callbacks = [], [], []
    _silence_service_log()


def _silence_service_log() -> None:
    """Spare each call the event loop that LiteLLM starts to tell a service log, which nobody reads here."""
    from litellm._service_logger import ServiceLogging
    from litellm.litellm_core_utils import logging_utils

    class Silent(ServiceLogging):
        def service_success_hook(self, *args: Any, **kwargs: Any) -> None:
            return None

    logging_utils._service_logger = Silent()


def complete(body: dict[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Return the upstream's chat.completion."""
    if not target.openai_dialect:
        return _translate(_translated_arguments(body, target, call), call, Tap(call))
    tap = Tap(call, streams=True)  # the answer is read off the wire, whole as well as streamed
    tap.url = relay.endpoint(target, CHAT_PATH)
    arguments = _tapped_arguments(body, target, call)
    try:
        if _tapped:
            _complete(tap, arguments | {"stream": True})
        if tap.exchange is not None:
            return openai_wire.read_answer(tap.exchange, call)
        _give_up_tapping()
        return _translate(arguments | {"messages": body["messages"]}, call, tap)
    finally:
        tap.close()


def stream(body: dict[str, Any], target: Target, call: UpstreamCall) -> Iterator[list[Any]]:
    """Yield the upstream's chunks, one list per read."""
    tap = Tap(call, streams=target.openai_dialect)
    try:
        if not target.openai_dialect:
            yield from _translate_stream(_translated_arguments(body, target, call), call, tap)
            return
        tap.url = relay.endpoint(target, CHAT_PATH)
        arguments = _tapped_arguments(body, target, call)
        if _tapped:
            _complete(tap, arguments | {"stream": True})
        if tap.exchange is not None:
            yield from openai_wire.read_chunks(tap.exchange, call)
            return
        _give_up_tapping()
        yield from _translate_stream(arguments | {"messages": body["messages"]}, call, tap)
    finally:
        tap.close()


def _give_up_tapping() -> None:
    """A LiteLLM that does not send over `client_session` any more is read through its own wrapper from now on."""
    if _tapped:
        _tapped.clear()
        log.warning("LiteLLM does not use the gateway's connections; its own stream wrapper is read instead")


def _tapped_arguments(body: Mapping[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    """Everything goes through `extra_body`, which LiteLLM merges over its own: no field is dropped or renamed.

    The messages given beside it are replaced by those in it; LiteLLM would walk through 60 KB of them several times.
    """
    exact = {"stream": False} | dict(body)
    return (
        {"model": f"openai/{target.model}", "custom_llm_provider": "openai", "messages": UNSENT, "extra_body": exact}
        | _common_arguments(target, call)
        | {"api_base": _api_base(target)}
    )


def _translated_arguments(body: Mapping[str, Any], target: Target, call: UpstreamCall) -> dict[str, Any]:
    known = deepcopy({name: value for name, value in body.items() if name in TRANSLATED})  # LiteLLM writes into them
    others = {name: value for name, value in body.items() if name not in TRANSLATED and name != "stream"}
    arguments = known | {"model": target.litellm_model} | _common_arguments(target, call)
    if target.base_url:
        arguments["api_base"] = target.base_url
    return arguments | others | _own_client()


def _common_arguments(target: Target, call: UpstreamCall) -> dict[str, Any]:
    own = {name.lower() for name in target.headers}
    headers = {
        name: value
        for name, value in relay.request_headers(target, call).items()
        if name.lower() in own or name not in ("Accept", "Accept-Encoding", "Content-Type", "Authorization")
    }
    return {
        "api_key": target.api_key or NO_KEY,
        "extra_headers": headers,
        "max_retries": 0,
        "num_retries": 0,
        "timeout": call.timeouts.first_byte,
        "_skip_mcp_handler": True,
        "no-log": True,
    }


def _own_client() -> dict[str, Any]:
    """Give translated dialects the gateway's wire too: its limits, proxies and cancellation."""
    from litellm.llms.custom_httpx.http_handler import HTTPHandler

    litellm = load()
    return {"client": HTTPHandler(client=litellm.client_session)}


def _api_base(target: Target) -> str:
    return relay.endpoint(target, CHAT_PATH).partition("?")[0].removesuffix(CHAT_PATH)


def _complete(tap: Tap, arguments: dict[str, Any]) -> Any:
    """Run LiteLLM with `tap` beneath it, in a context of its own: what it sets there is not Flask's business.

    Raises errors of the gateway's tree only.
    """
    try:
        return _run(tap, arguments)
    except GatewayError as error:
        # LiteLLM failed before it sent anything: the upstream knows nothing of it, so once more costs nothing.
        if tap.exchange is not None or error.status < 500 or type(error) is not UpstreamError:
            raise
        log.warning("LiteLLM failed before it sent the request; once more", exc_info=error.__cause__)
        return _run(tap, arguments)


def _run(tap: Tap, arguments: dict[str, Any]) -> Any:
    litellm = load()
    try:
        with using(tap):
            return copy_context().run(litellm.completion, **arguments)
    except GatewayError:
        raise
    except Exception as error:  # LiteLLM's errors share no base class; each is mapped, none is swallowed
        raise _explain(error, tap) from error


def _translate(arguments: dict[str, Any], call: UpstreamCall, tap: Tap) -> dict[str, Any]:
    try:
        answer = _complete(tap, arguments | {"stream": False})
        dumped: dict[str, Any] = answer.model_dump(exclude_none=True)
        call.trace.note("upstream_response", dumped)
        return dumped
    finally:
        tap.close()


def _translate_stream(arguments: dict[str, Any], call: UpstreamCall, tap: Tap) -> Iterator[list[Any]]:
    wrapper = _complete(tap, arguments | {"stream": True})
    call.saw_done = False
    chunks = iter(wrapper)
    while (chunk := _next_chunk(chunks, tap)) is not None:
        dumped = chunk.model_dump(exclude_none=True)
        if _has_ended(wrapper) is False:  # at the end of any stream, a cut one too, the wrapper invents a "stop"
            for choice in dumped.get("choices") or ():
                choice.pop("finish_reason", None)
        call.trace.raw([dump(dumped)])
        yield [dumped]
    call.saw_done = _has_ended(wrapper) is not False


def _next_chunk(chunks: Iterator[Any], tap: Tap) -> Any:
    """Return the next chunk, None at the end. Some dialects (native Gemini) send their request only here."""
    try:
        with using(tap):
            return copy_context().run(next, chunks, None)
    except GatewayError:
        raise
    except Exception as error:  # see _complete
        raise _explain(error, tap) from error


def _has_ended(wrapper: Any) -> bool | None:
    """Tell whether the upstream said a finish reason; None where LiteLLM no longer tells (1.106.2 does)."""
    told = [getattr(wrapper, name, NOT_TOLD) for name in ("received_finish_reason", "intermittent_finish_reason")]
    return None if NOT_TOLD in told else told != [None, None]


def _explain(error: Exception, tap: Tap) -> GatewayError:
    """Map what LiteLLM raised: the gateway's own error beneath it first, then what the upstream said, then the status."""
    if tap.call.cancel.cancelled:
        return ClientGone("The client went away.")
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, GatewayError):
            return seen
        seen = seen.__cause__ or seen.__context__
    if tap.exchange is not None and tap.exchange.response is not None and tap.exchange.response.status >= 300:
        response = tap.exchange.response
        return openai_wire.refusal(response.status, dict(response.headers.items()), tap.body or _body_of(error))
    status = getattr(error, "status_code", None)
    if status in (408, 504):
        return UpstreamTimeout("The upstream did not answer in time.")
    message = f"The call to the upstream failed ({type(error).__name__})."
    if isinstance(status, int) and 400 <= status < 500 and tap.exchange is None:
        message = str(getattr(error, "message", message)).partition("\n")[0][:1000]
        return UpstreamError(message, status=status, type="invalid_request_error")
    return UpstreamError(message)


def _body_of(error: Exception) -> bytes:
    text = getattr(getattr(error, "response", None), "content", b"")
    return text if isinstance(text, bytes) else b""
