"""Mask a stream piece by piece: knows what was shown before, so that a key cut over chunks is not shown in halves.

For each text of the stream (the content of choice 0, the arguments of its tool call 1, …) the last characters are kept
and masked together with the next piece. Bounds: of a known key at most its first four characters are shown; a key known
only by its shape may show what comes before the shape is recognised (its prefix and nine characters, 17 after "AQ.A");
64 texts are followed.
"""

import json

from app.utils.masking import DEEPEST, ELLIPSIS, TOO_DEEP, Masker

WINDOW = 256
MOST_TEXTS = 64
SHOWN_AT_MOST = 4
_BEFORE = 8  # characters before a key that decide whether a word begins there

Path = tuple[object, ...]
WORD: Path = ("token",)  # where the frames of a WebSocket continue each other


def is_word(value: object) -> bool:
    """Tell whether an event is a frame of our WebSocket, {"token": text}: a piece of the answer, no secret of that name."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("token"), str)


class StreamMasker:
    """Masks the events of one stream in their order; use one for each direction."""

    __slots__ = ("_masker", "_tails", "_window")

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._window = max(WINDOW, masker.longest)
        self._tails: dict[Path, str] = {}

    def mask_payload(self, payload: bytes | str) -> object:
        """Read one event's data; return the masked JSON value, or the masked text where it is not JSON."""
        try:
            value = json.loads(payload)
        except (ValueError, RecursionError):
            text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
            return self.mask_fragment(("text",), text)
        return self.mask_event(value)

    def mask_event(self, value: object) -> object:
        """Mask one parsed chunk: texts under `delta` and `text` jointly with those before, the rest by itself."""
        if is_word(value):
            return {"token": self.mask_fragment(WORD, value["token"])}  # type: ignore[index]
        if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
            return self._masker.mask(value)
        rest = {key: item for key, item in value.items() if key != "choices"}
        masked = self._masker.mask(rest)
        choices = [self._mask_choice(choice, place) for place, choice in enumerate(value["choices"])]
        return (
            {key: choices if key == "choices" else masked.get(self._masker.mask_text(key)) for key in value}
            if isinstance(masked, dict)
            else masked
        )

    def mask_fragment(self, path: Path, text: str) -> str:
        """Mask `text` as the continuation of what was given for `path` before."""
        tail = self._tails.pop(path, "")
        joined = tail + text
        spans = self._masker.spans(joined)
        begun = self._masker.open_prefix(joined)
        self._remember(path, joined, spans, begun)
        if begun is not None:
            spans = [*spans, (begun + SHOWN_AT_MOST, len(joined))]
        return _hide(joined, spans, len(tail))

    def _remember(self, path: Path, joined: str, spans: list[tuple[int, int]], begun: int | None) -> None:
        start = max(0, len(joined) - self._window)
        if begun is not None:
            start = min(start, max(0, begun - _BEFORE))
        kept = joined[start:]
        if spans and spans[-1][1] == len(joined) and len(joined) - spans[-1][0] > self._window:
            first = max(0, spans[-1][0] - _BEFORE)
            kept = joined[first : first + self._window]  # its head is enough to recognise what continues it
        if len(self._tails) >= MOST_TEXTS:
            del self._tails[next(iter(self._tails))]
        self._tails[path] = kept

    def _mask_choice(self, choice: object, place: int) -> object:
        if not isinstance(choice, dict):
            return self._masker.mask(choice)
        path: Path = (choice.get("index", place) if isinstance(choice.get("index"), int) else place,)
        return {
            self._masker.mask_text(str(key)): self._mask_joined(item, (*path, key))
            if key in ("delta", "text")
            else self._masker.mask(item)
            for key, item in choice.items()
        }

    def _mask_joined(self, value: object, path: Path) -> object:
        if len(path) > DEEPEST:
            return TOO_DEEP
        if isinstance(value, str):
            return self.mask_fragment(path, value)
        if isinstance(value, dict):
            mask_key = self._masker.mask_text
            return {mask_key(str(key)): self._mask_joined(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._mask_joined(item, (*path, _place(item, place))) for place, item in enumerate(value)]
        return self._masker.mask(value)


def _place(item: object, place: int) -> object:
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else place


def _hide(joined: str, spans: list[tuple[int, int]], offset: int) -> str:
    """Return `joined` from `offset` on, each span replaced by an ellipsis."""
    parts, position = [], offset
    for start, end in sorted(spans):
        if end <= position:
            continue
        parts += [joined[position : max(start, position)], ELLIPSIS]
        position = end
    return "".join(parts) + joined[position:]
