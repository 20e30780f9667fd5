"""The log as a person reads it: lays out what a Trace hands over; sees masked values only, writes through a LogWriter.

Verbose, it follows each request live, block by block; else it writes one line when a request has ended. What a client
or a model said stands in JSON, in one escaped line, or behind a bar: it cannot begin a line of ours.
"""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from app.log_messages import choose_language, message, template
from app.log_writer import Line, LogWriter, is_terminal, one_line
from app.utils.summarise import summarise, summarise_tools, tool_name

if TYPE_CHECKING:
    from app.trace import Event, Trace

RULER = "=" * 80
NOT_SHOWN = ("client_headers", "repairs", "usage")  # repairs come at the end, when all are known
LONGEST_WORD = 80


def is_verbose(settings: Any, stream: TextIO | None) -> bool:
    """Tell whether somebody looks: GATEWAY_VERBOSE decides, else DEBUG=1 or a terminal."""
    if settings.verbose is not None:
        return bool(settings.verbose)
    return bool(settings.debug) or is_terminal(stream)


def open_log(settings: Any, stream: TextIO | None = None) -> "VerboseLog":
    """Return the log that the settings describe (verbose, debug, lang, log_file), on `stream` or standard output."""
    writer = LogWriter(stream, settings.log_file, settings.lang)
    return VerboseLog(writer, is_verbose(settings, stream or sys.stdout), settings.lang)


class VerboseLog:
    """A sink of traces: live when verbose, one line at the end of each request when not."""

    def __init__(self, writer: LogWriter, verbose: bool, language: str = "en") -> None:
        self.live = verbose
        self._write, self._language = writer.write, choose_language(language)
        self._layouts: dict[str, Callable[[Trace, Any], list[Line]]] = {
            "client_request": self._request,
            "resolved": self._resolved,
            "upstream_request": self._params,
            "upstream_response": self._titled("upstream_response"),
            "answer": self._titled("answer"),
            "error": self._error,
        }

    def note(self, trace: "Trace", station: str, value: Any) -> None:
        """Write the block of one station."""
        if station not in NOT_SHOWN:
            layout = self._layouts.get(station) or self._titled("note", station=one_line(station))
            self._write([*layout(trace, value), ("", "")])

    def raw(self, trace: "Trace", events: "list[Event]") -> None:
        """Write the upstream's events of one read."""
        lines: list[Line] = []
        for number, value in events:
            if number is None:
                lines.append(("", f"📦 {one_line(value)}{self._tag(trace)}"))
                continue
            lines += self._start(trace) if number == 1 else []
            lines.append(("key", self._text("chunk_raw", number=number) + self._tag(trace)))
            lines += [("", self._json(value)), ("", "")]
        self._write(lines)

    def emitted(self, trace: "Trace", events: "list[Event]") -> None:
        """Write the events of one write to the client; a whole JSON answer is left to the station `answer`."""
        if not trace.streams:
            return
        lines: list[Line] = []
        for number, value in events:
            if number is None:
                shown = one_line(value)
                lines.append(("", f"📤 {shown if shown[:1] == ':' else 'data: ' + shown}{self._tag(trace)}"))
                continue
            lines += self._start(trace) if number == 1 and not trace.raw_chunks else []
            lines.append(("key", self._text("chunk_formatted", number=number) + self._tag(trace)))
            lines += [("", f"data: {self._json(value, indent=None)}"), ("", "")]
        self._write(lines)

    def finished(self, trace: "Trace") -> None:
        """Write the end of a request: what was streamed, the repairs, and the one line that every request gets."""
        summary = trace.summary()
        lines = self._ending(trace, summary) if self.live else []
        self._write([*lines, ("bad" if summary.get("error") else "", format_line(summary))])

    # --- blocks -----------------------------------------------------------------------------------------------------

    def _request(self, trace: "Trace", body: Any) -> list[Line]:
        summary = trace.summary()
        caller = " ".join(_field(summary.get(name) or "-") for name in ("method", "client", "session", "user_agent"))
        title = self._text("endpoint_called", path=one_line(summary["path"]))
        lines: list[Line] = [
            ("title", RULER),
            ("title", title),
            ("title", RULER),
            ("", f"{trace.id} {caller}"),
            ("", ""),
        ]
        lines += [("title", self._text("request_body")), ("", self._json(_with_short_tools(body)))]
        tools = body.get("tools") if isinstance(body, dict) else None
        if isinstance(tools, list) and tools:
            lines += [("", ""), ("title", self._text("tools", count=len(tools)))]
            names = [one_line(tool_name(tool)) for tool in tools]
            names[0] = self._text("tool_shown", name=names[0])
            lines += [("", f"  [{place}] {name}") for place, name in enumerate(names)]
        return lines

    def _resolved(self, trace: "Trace", target: Any) -> list[Line]:
        summary = trace.summary()
        names = {name: one_line(summary.get(name) or "-") for name in ("model", "target", "engine")}
        text = self._text("model", requested=names["model"], target=names["target"], engine=names["engine"])
        return [("title", text + self._tag(trace))]

    def _params(self, trace: "Trace", params: Any) -> list[Line]:
        summary = trace.summary()
        engine = one_line(summary.get("engine") or "upstream").upper()
        key, source = summary.get("api_key"), summary.get("key_source")
        key_line = (
            self._text("api_key", key=one_line(key), source=one_line(source)) if key else self._text("api_key_none")
        )
        title = self._text("params", engine=engine) + self._tag(trace)
        return [
            ("title", RULER),
            ("title", title),
            ("title", RULER),
            ("", self._json(_with_short_tools(params))),
            ("", ""),
            ("key", key_line),
        ]

    def _titled(self, key: str, /, **values: str) -> "Callable[[Trace, Any], list[Line]]":
        def lay_out(trace: "Trace", value: Any) -> list[Line]:
            return [("title", self._text(key, **values) + self._tag(trace)), ("", self._json(value))]

        return lay_out

    def _error(self, trace: "Trace", error: Any) -> list[Line]:
        fields = dict(error) if isinstance(error, dict) else {"message": error}
        stack = str(fields.pop("traceback", "")).rstrip()
        fields.pop("answer", None)  # the same in the client's shape
        title = self._text("error", message=one_line(fields.get("message", ""))) + self._tag(trace)
        lines: list[Line] = [("bad", title), ("", self._json(fields))]
        return lines + [("", "  | " + one_line(line, longest=2_000)) for line in stack.split("\n") if line]

    def _start(self, trace: "Trace") -> list[Line]:
        return [("title", self._text("streaming_start") + self._tag(trace)), ("", "")]

    def _ending(self, trace: "Trace", summary: dict[str, Any]) -> list[Line]:
        lines: list[Line] = []
        answer = trace.answer()
        if answer is not None:
            done = self._text("streaming_done", count=summary["emitted_chunks"]) + self._tag(trace)
            lines += [
                ("good", done),
                ("", ""),
                ("title", self._text("answer") + self._tag(trace)),
                ("", self._json(answer)),
                ("", ""),
            ]
        report = trace.last("repairs")
        if isinstance(report, dict) and report.get("header"):
            lines.append(("title", self._text("repairs", header=one_line(report["header"])) + self._tag(trace)))
            lines += [("", "  " + self._repair(entry)) for entry in report.get("entries", [])] + [("", "")]
        return lines

    def _repair(self, entry: Any) -> str:
        fields = entry if isinstance(entry, dict) else {"rule": entry}
        before, after = (self._json(fields.get(name), indent=None) for name in ("before", "after"))
        return self._text(
            "repair",
            rule=one_line(fields.get("rule", "-")),
            where=one_line(fields.get("where", "-")),
            before=one_line(before),
            after=one_line(after),
        )

    def _tag(self, trace: "Trace") -> str:
        """Mark a line of ours with its request, for logs in which several requests mix."""
        return f"  [{trace.short_id}]"

    def _text(self, key: str, /, **values: object) -> str:
        return message(self._language, key, **values)

    def _json(self, value: object, indent: int | None = 2) -> str:
        short = summarise(value, template(self._language, "cut"))
        return json.dumps(short, ensure_ascii=False, indent=indent, default=str)


def format_line(summary: dict[str, Any]) -> str:
    """Format a summary as one line: time, id, request, caller, models, status, tokens, times, repairs, error."""
    started = datetime.fromtimestamp(summary["started"]).astimezone().isoformat(timespec="milliseconds")
    parts = [
        started,
        summary["id"],
        _field(summary["method"]),
        _field(summary["path"]),
        _field(summary.get("client") or "-"),
    ]
    if summary.get("session"):
        parts.append(f"session={_field(summary['session'])}")
    if summary.get("model"):
        parts.append(_field(summary["model"]))
    if summary.get("target"):
        parts.append(f"-> {_field(summary['target'])} ({_field(summary.get('engine') or '-')})")
    parts.append(str(summary.get("status", "-")) + (" stream" if summary.get("stream") else ""))
    for name, key in (("in", "prompt_tokens"), ("out", "completion_tokens"), ("finish", "finish_reason")):
        if summary.get(key) is not None:
            parts.append(f"{name}={_field(summary[key])}")
    if summary.get("ttft") is not None:
        parts.append(f"ttft={summary['ttft']:.3f}s")
    parts.append(f"{summary['duration']:.3f}s")
    if summary.get("repairs"):
        parts.append(f"repairs[{one_line(summary['repairs'])}]")
    if summary.get("error"):
        parts.append("error: " + one_line(str(summary["error"]).strip().split("\n")[0]))
    return " ".join(parts)


def _field(value: object) -> str:
    """Return a value as one word: in quotes when it holds spaces, so that it cannot pass for another field."""
    text = one_line(value, LONGEST_WORD)
    return json.dumps(text, ensure_ascii=False) if " " in text else text


def _with_short_tools(body: Any) -> Any:
    """Return the body with its first tool whole and the others by name."""
    if isinstance(body, dict) and isinstance(body.get("tools"), list):
        return body | {"tools": summarise_tools(body["tools"])}
    return body
