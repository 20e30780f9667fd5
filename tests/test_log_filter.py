import io
import logging
import sys
import threading

import pytest

from app.log_filter import MaskingFilter, format_masked, install_logging
from app.utils.masking import Masker

CANARY = "canary-configured-key-0123456789"
UNKNOWN = "AIzaSyCANARY0123456789abcdefghijk9xYz"


def masker():
    return Masker([CANARY])


@pytest.fixture
def installed():
    restore = install_logging(masker)
    yield
    restore()


@pytest.fixture
def library():
    """A library's logger with a handler of its own, made before or after ours."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("some.library")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)
    logger.propagate = True


def test_message_and_arguments_of_a_library_are_masked(installed, library):
    logger, stream = library
    logger.debug("headers %s to %s", {"Authorization": f"Bearer {CANARY}"}, f"https://h/?key={UNKNOWN}")
    assert CANARY not in stream.getvalue() and UNKNOWN not in stream.getvalue()
    assert "cana…6789" in stream.getvalue() and "AIza…9xYz" in stream.getvalue()


def test_a_mapping_as_arguments_is_formatted(installed, library):
    logger, stream = library
    logger.info("%(a)s done", {"a": CANARY})
    assert stream.getvalue() == "INFO cana…6789 done\n"


def test_a_traceback_is_masked_also_below_its_cause(installed, library):
    logger, stream = library
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(f"upstream said {CANARY}") from error
    except ValueError:
        logger.exception("failed")
    assert CANARY not in stream.getvalue()
    assert stream.getvalue().count("Traceback") == 2


def test_a_wrong_format_string_does_not_print_its_arguments(installed, library, capsys):
    logger, stream = library
    logger.warning("%d of %d", CANARY)
    assert CANARY not in stream.getvalue() + capsys.readouterr().err
    assert "cana…6789" in stream.getvalue()


def test_stack_info_is_masked(library):
    logger, _ = library
    record = logger.makeRecord("n", 10, "f", 1, "m", (), None, sinfo=f"key = {CANARY}")
    MaskingFilter(masker).filter(record)
    assert record.stack_info == "key = cana…6789"


def test_extra_fields_are_masked_by_name_and_content(library):
    logger, _ = library
    record = logger.makeRecord("n", 10, "f", 1, "m", (), None, extra={"api_key": "short", "note": CANARY})
    assert MaskingFilter(masker).filter(record) is True
    assert (record.api_key, record.note) == ("…", "cana…6789")


def test_an_uncaught_exception_is_masked(installed, capsys):
    try:
        raise RuntimeError(CANARY)
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    shown = capsys.readouterr().err
    assert CANARY not in shown and "RuntimeError: cana…6789" in shown


def test_an_uncaught_exception_of_a_thread_is_masked(installed, capsys):
    def fail():
        raise RuntimeError(CANARY)

    # pytest puts a hook of its own around each test; ours is called as threading would call it
    thread = threading.Thread(target=fail, name="worker")
    try:
        fail()
    except RuntimeError as error:
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
    shown = capsys.readouterr().err
    assert CANARY not in shown and "thread worker" in shown


def test_restoring_puts_everything_back():
    before = (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook, sys.unraisablehook)
    restore = install_logging(masker, ["some.library"])
    assert logging.getLogRecordFactory() is not before[0]
    restore()
    assert (logging.getLogRecordFactory(), sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def test_format_masked():
    error = ValueError(CANARY)
    assert format_masked(masker(), ValueError, error, None) == "ValueError: cana…6789\n"
