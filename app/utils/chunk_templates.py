"""Recognises chunks that differ from one seen before only in a word of their text: most chunks of a stream do.

A JSON text that begins and ends as another one, and has another string in the same place, says the same but for that
string: so it need not be parsed. Texts with escapes, and all other chunks, are left to a parser.
"""

import orjson

Path = tuple[object, ...]

FIELDS = ("content", "reasoning_content", "reasoning")
MARKS = [(f'"{field}":{space}"', field) for field in FIELDS for space in ("", " ")]
PROBE = "\ue000probe\ue001"  # stands where a text stood
MOST = 32  # ways of writing that are remembered; a stream whose chunks all differ elsewhere is not worth more


class ChunkTemplates:
    """What was seen of one stream."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Path] = {}

    def read(self, payload: str) -> tuple[Path, str] | None:
        """Return the path and the text of a chunk that is otherwise as one that was learned, else None."""
        for mark, _ in MARKS if self._known else ():
            start = payload.find(mark)
            if start >= 0:
                start += len(mark)
                end = payload.find('"', start)
                path = self._known.get((payload[:start], payload[end:])) if end >= 0 else None
                if path is not None and _is_plain(text := payload[start:end]):
                    return path, text
        return None

    def learn(self, payload: str) -> None:
        """Remember how a chunk was written, if it holds one text that another could take the place of."""
        if len(self._known) >= MOST:
            return
        for mark, field in MARKS:
            start = payload.find(mark)
            end = payload.find('"', start + len(mark)) if start >= 0 else -1
            if end < 0:
                continue
            head, tail = payload[: start + len(mark)], payload[end:]
            if _is_plain(payload[len(head) : end]) and (path := _path_of(head, tail, field)) is not None:
                self._known[head, tail] = path
                return


def _is_plain(text: str) -> bool:
    """Tell whether a text in quotes is what it says: no escapes, nothing that JSON forbids."""
    return text.isprintable() and "\\" not in text


def _path_of(head: str, tail: str, field: str) -> Path | None:
    """Return the path to `field` of the delta of the only choice, if that is where the text between stands."""
    if PROBE in head or PROBE in tail:
        return None
    try:
        (choice,) = orjson.loads(f"{head}{PROBE}{tail}")["choices"]
        index = choice.get("index", 0)
        found = choice["delta"][field] == PROBE
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return (index if isinstance(index, int) else 0, "delta", field) if found else None
