"""What an engine is given besides the request."""

from app.call import Timeouts, UpstreamCall
from app.cancel import CancelToken
from app.trace import Trace
from tests.conftest import settings_for


def test_the_limits_come_from_the_settings():
    settings = settings_for({}, GATEWAY_CONNECT_TIMEOUT="1.5", GATEWAY_FIRST_BYTE_TIMEOUT="2", GATEWAY_IDLE_TIMEOUT="3",
                            GATEWAY_KEEP_ALIVE="4")
    trace, token = Trace("POST", "/"), CancelToken()
    call = UpstreamCall.from_settings(settings, trace, token, "this-server")
    assert call.timeouts == Timeouts(connect=1.5, first_byte=2, idle=3)
    assert (call.keep_alive, call.instance) == (4, "this-server")
    assert (call.trace, call.cancel) == (trace, token)
    assert call.saw_done, "an engine without a wire ends normally unless it says otherwise"


def test_each_call_has_its_own_token():
    trace = Trace("POST", "/")
    assert UpstreamCall(trace).cancel is not UpstreamCall(trace).cancel
