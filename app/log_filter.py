"""Mask the log records and tracebacks of libraries: knows the logging module; knows nothing of requests.

LiteLLM, httpx and gunicorn log headers, URLs and upstream texts; a traceback shows the values of its messages.
"""

import io
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from app.utils.masking import Masker

STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class MaskingFilter(logging.Filter):
    """Masks message, arguments, traceback and extra fields of each record; lets every record pass."""

    def __init__(self, masker: Callable[[], Masker]) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace what a handler could print by its masked form, once per sight."""
        masker = self._masker()
        record.msg, record.args = masker.mask_text(_message_of(record)), None
        if record.exc_info:
            kind, error, stack = record.exc_info
            record.exc_text = "".join(traceback.format_exception(kind, error, stack)).rstrip("\n")
            record.exc_info = None  # a handler of its own would format it again, unmasked
        for name in ("exc_text", "stack_info"):
            if getattr(record, name, None):
                setattr(record, name, masker.mask_text(getattr(record, name)))
        for name in vars(record).keys() - STANDARD_FIELDS:
            setattr(record, name, masker.mask({name: getattr(record, name)})[name])  # type: ignore[index]
        return True


def install_logging(masker: Callable[[], Masker], loggers: Iterable[str] = ()) -> Callable[[], None]:
    """Mask every record of this process when it is made, and the tracebacks of uncaught exceptions.

    `masker` is asked each time (`SecretBook.masker_for_all`). The handlers of the root and of `loggers` also get the
    filter, for fields given by `extra`, which are set after a record is made. Returns a function that undoes all of it.
    """
    filter_ = MaskingFilter(masker)
    make, hook = logging.getLogRecordFactory(), sys.excepthook
    thread_hook, unraisable_hook = threading.excepthook, sys.unraisablehook
    handlers = [handler for name in ("", *loggers) for handler in logging.getLogger(name).handlers]

    def make_masked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        filter_.filter(record)
        return record

    def restore() -> None:
        logging.setLogRecordFactory(make)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hook, thread_hook, unraisable_hook
        for handler in handlers:
            handler.removeFilter(filter_)

    logging.setLogRecordFactory(make_masked)
    for handler in handlers:
        handler.addFilter(filter_)
    _install_hooks(masker)
    return restore


def format_masked(
    masker: Masker, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
) -> str:
    """Return the traceback of an exception, masked."""
    text = io.StringIO()
    traceback.print_exception(kind, error, stack, file=text)
    return masker.mask_text(text.getvalue())


def _install_hooks(masker: Callable[[], Masker]) -> None:
    def on_error(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
        _print(format_masked(masker(), kind, error, stack))

    def on_thread_error(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            told = format_masked(masker(), args.exc_type, args.exc_value, args.exc_traceback)
            _print(f"Exception in thread {name}:\n{told}")

    def on_unraisable(args: "sys.UnraisableHookArgs") -> None:
        _print("Exception ignored:\n" + format_masked(masker(), args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = on_error, on_thread_error, on_unraisable


def _print(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # logging would print the arguments to stderr, unmasked
        return f"{record.msg} {record.args!r}"
