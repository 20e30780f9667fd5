"""Mask the texts of a stream exactly: a text without keys stays as it is to the byte, and a key cut over texts is hidden.

Unlike `stream_masking` it sees a stream as a whole, when it is over, and so hides all of a key. It costs a microsecond or
two for each text that holds none, which is nearly every one.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

import orjson

from app.utils.chunk_templates import ChunkTemplates
from app.utils.masking import ELLIPSIS, Masker, is_secret_name
from app.utils.stream_masking import WORD, is_word

Path = tuple[object, ...]
JOINED = ("delta", "text")  # of a choice: what continues the same field of the chunks before
ODD: Path = ("text",)  # what is no JSON continues what was none before

_names_a_key = lru_cache(4096)(is_secret_name)


def mask_payloads(masker: Masker, payloads: Sequence[str]) -> list[str]:
    """Mask the data of a stream's events, given in their order: OpenAI's chunks, other JSON or any text."""
    seen = _Seen()
    for number, payload in enumerate(payloads):
        seen.add(number, payload)
    hidden = seen.find(masker)
    everywhere = seen.is_dirty_elsewhere(masker) or masker.knows("\n".join(payloads))
    if not everywhere and not hidden:
        return list(payloads)
    return [
        _rewrite(payload, masker, hidden.get(number, {}), everywhere) if everywhere or number in hidden else payload
        for number, payload in enumerate(payloads)
    ]


def mask_writes(masker: Masker, writes: Sequence[str]) -> list[str]:
    """Mask what was written to a client, write by write: server-sent events, or pieces of any text."""
    data: list[str] = []
    for write in writes:
        if write.startswith("data: ") and write.endswith("\n\n") and write.find("\n") == len(write) - 2:
            data.append(write[6:-2])  # one event: most writes are
        else:
            data += [line[len(_before(line)) :] for line in write.split("\n") if line]
    masked = mask_payloads(masker, data)
    if masked == data:
        return list(writes)
    shown = iter(masked)
    return ["\n".join([_before(line) + next(shown) if line else "" for line in write.split("\n")]) for write in writes]


def _before(line: str) -> str:
    """Return what stands before the data of a line."""
    return "data: " if line.startswith("data: ") else "data:" if line.startswith("data:") else ""


class _Seen:
    """All that a stream says: field names, texts that stand alone, and texts that continue over its chunks, by path."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.texts: set[str] = set()
        self.joined: dict[Path, list[tuple[int, str]]] = {}
        self.too_deep = False
        self._templates = ChunkTemplates()

    def add(self, number: int, payload: str) -> None:
        if (known := self._templates.read(payload)) is not None:
            self._join(number, known[1], known[0])
            return
        try:
            value = orjson.loads(payload)
        except ValueError:  # no JSON, or with bytes that are no UTF-8
            try:
                value = json.loads(payload)
            except (ValueError, RecursionError):
                self.joined.setdefault(ODD, []).append((number, payload))
                return
        try:
            self._add_event(number, value)
        except RecursionError:
            self.too_deep = True
        else:
            self._templates.learn(payload)

    def _add_event(self, number: int, value: object) -> None:
        if type(value) is not dict or type(choices := value.get("choices")) is not list:
            if is_word(value):
                self._join(number, value["token"], WORD)  # type: ignore[index]
            else:
                self._add(value)
            return
        for key, item in value.items():
            self.names.add(key)
            if type(item) is str:
                self.texts.add(item)
            elif item is not choices:
                self._add(item)
        for place, choice in enumerate(choices):
            if type(choice) is not dict:
                self._add(choice)
                continue
            path = _path(choice, place)
            for key, item in choice.items():
                self.names.add(key)
                if key in JOINED:
                    self._join(number, item, (path, key))
                elif item is not None:
                    self._add(item)

    def _add(self, value: object) -> None:
        if type(value) is str:
            self.texts.add(value)
        elif type(value) is dict:
            names = value.keys() - {"token"} if "logprob" in value else value.keys()  # there it is a word of the answer
            self.names.update(names)
            for item in value.values():
                self._add(item)
        elif type(value) is list:
            for item in value:
                self._add(item)

    def _join(self, number: int, value: object, path: Path) -> None:
        if type(value) is str:
            pieces = self.joined.get(path)
            if pieces is None:
                self.joined[path] = pieces = []
            pieces.append((number, value))
        elif type(value) is dict:
            for key, item in value.items():
                self.names.add(key)
                self._join(number, item, (*path, key))
        elif type(value) is list:
            for place, item in enumerate(value):
                self._join(number, item, (*path, _path(item, place)))

    def is_dirty_elsewhere(self, masker: Masker) -> bool:
        """Tell whether a key stands anywhere but in the texts that continue."""
        alone = (*self.texts, *self.names)
        return self.too_deep or any(map(_names_a_key, self.names)) or not masker.is_clean("\0".join(alone))

    def find(self, masker: Masker) -> dict[int, dict[Path, list[str]]]:
        """Return what to show in place of texts that continue: by number of the event and path, one after the other."""
        hidden: dict[int, dict[Path, list[str]]] = {}
        for path, pieces in self.joined.items():
            whole = "".join([text for _, text in pieces])
            if masker.is_clean(whole):
                continue
            texts = _hide([text for _, text in pieces], masker.spans(whole))
            for (number, before), text in zip(pieces, texts, strict=True):
                if before != text or number in hidden:
                    hidden.setdefault(number, {})
            for (number, _), text in zip(pieces, texts, strict=True):
                if number in hidden:
                    hidden[number].setdefault(path, []).append(text)
        return hidden


def _hide(pieces: Iterable[str], spans: list[tuple[int, int]]) -> list[str]:
    """Return pieces of one text, each part of a span replaced by an ellipsis where it begins; in linear time."""
    shown, start, nearest = [], 0, 0
    for piece in pieces:
        end, parts, position = start + len(piece), [], start
        while nearest < len(spans) and spans[nearest][1] <= start:
            nearest += 1
        place = nearest
        while place < len(spans) and spans[place][0] < end:
            first, last = spans[place]
            parts.append(piece[position - start : max(first, position) - start])
            parts.append(ELLIPSIS if first >= start else "")
            position = min(last, end)
            place += 1
        shown.append("".join(parts) + piece[position - start :])
        start = end
    return shown


def _rewrite(payload: str, masker: Masker, hidden: dict[Path, list[str]], everywhere: bool) -> str:
    """Return one event's data with its keys hidden, in the way it was written."""
    if ODD in hidden:
        return hidden[ODD].pop(0)
    try:
        value = json.loads(payload)
        shown = _Rewriter(masker, hidden, everywhere).event(value)
        if shown == value and not masker.knows(payload):
            return payload
    except (ValueError, RecursionError):
        return masker.mask_text(payload)
    separators = (", ", ": ") if '": ' in payload else (",", ":")
    escaped = payload.isascii() and "\\u" in payload
    text = json.dumps(shown, ensure_ascii=escaped, separators=separators)
    return masker.mask_text(text) if masker.knows(text) else text


class _Rewriter:
    """Goes over one event in the order of `_Seen` and puts what is shown in place of what was there."""

    def __init__(self, masker: Masker, hidden: dict[Path, list[str]], everywhere: bool) -> None:
        self._masker, self._hidden = masker, {path: iter(texts) for path, texts in hidden.items()}
        self._mask = masker.mask if everywhere else lambda value: value
        self._name = masker.mask_text if everywhere else lambda name: name

    def event(self, value: object) -> object:
        if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
            return {"token": self._joined(value["token"], WORD)} if is_word(value) else self._mask(value)  # type: ignore[index]
        rest = {key: item for key, item in value.items() if key != "choices"}
        shown = self._mask(rest)
        assert isinstance(shown, dict)
        choices = [self._choice(choice, place) for place, choice in enumerate(value["choices"])]
        return {key: choices if key == "choices" else shown.get(self._name(key)) for key in value}

    def _choice(self, choice: object, place: int) -> object:
        if not isinstance(choice, dict):
            return self._mask(choice)
        path = _path(choice, place)
        return {
            self._name(key): self._joined(item, (path, key)) if key in JOINED else self._mask(item)
            for key, item in choice.items()
        }

    def _joined(self, value: object, path: Path) -> object:
        if isinstance(value, str):
            return next(self._hidden[path], value) if path in self._hidden else value
        if isinstance(value, dict):
            return {
                self._name(key): self._masker.mask_named(key, item)
                if isinstance(item, str) and _names_a_key(key)
                else self._joined(item, (*path, key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._joined(item, (*path, _path(item, place))) for place, item in enumerate(value)]
        return self._mask(value)


def _path(item: object, place: int) -> object:
    """Name the place of an item in a list: by its own index, where it has one."""
    index = item.get("index", place) if isinstance(item, dict) else place
    return index if isinstance(index, int) else place
