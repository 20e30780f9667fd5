"""A token that one thread cancels and another waits on."""

import threading
import time

from app.cancel import CancelToken


def test_a_new_token_is_not_cancelled():
    token = CancelToken()
    assert not token.cancelled
    assert token.wait(0) is False


def test_cancelling_calls_back_once_in_the_cancelling_thread():
    token, called = CancelToken(), []
    token.on_cancel(lambda: called.append(threading.get_ident()))
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join()
    token.cancel()
    assert token.cancelled
    assert called == [thread.ident]


def test_a_late_callback_is_called_at_once():
    token, called = CancelToken(), []
    token.cancel()
    forget = token.on_cancel(lambda: called.append("late"))
    assert called == ["late"]
    forget()


def test_a_forgotten_callback_is_not_called():
    token, called = CancelToken(), []
    forget = token.on_cancel(lambda: called.append("a"))
    token.on_cancel(lambda: called.append("b"))
    forget()
    forget()
    token.cancel()
    forget()
    assert called == ["b"]


def test_a_callback_may_use_the_token():
    token, called = CancelToken(), []
    token.on_cancel(lambda: token.on_cancel(lambda: called.append(token.cancelled)))
    token.cancel()
    assert called == [True]


def test_waiting_ends_as_soon_as_the_token_is_cancelled():
    token, waited = CancelToken(), []

    def wait():
        begun = time.monotonic()
        waited.append((token.wait(30), time.monotonic() - begun))

    thread = threading.Thread(target=wait)
    thread.start()
    token.cancel()
    thread.join(10)
    ((cancelled, seconds),) = waited
    assert cancelled is True
    assert seconds < 10
