"""Hide keys in texts, JSON values, headers and URLs: knows what a key looks like; knows no logs, requests or settings.

A masked key shows its first four and last four characters ("AIza…9xYz"); one shorter than twelve is hidden ("…").
Masking is for what is printed or stored, never for what is forwarded: a genuine thought signature may look like a key.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

ELLIPSIS = "…"
SHORTEST_SECRET = 8  # "none", "dummy", "ollama" are used as keys: hiding them everywhere would hide the log
SHORTEST_SHOWN = 12
SHORTEST_MATCH = 6  # "?key=a" is the shortest text in which anything is masked
DEEPEST = 80
LONG, OVERLAP = 65_536, 4_096  # characters that one search goes over: it keeps all other threads waiting meanwhile
TOO_DEEP = "(nested too deeply)"

_TOKEN = r"[A-Za-z0-9_-]"
_WORD = r"[^\s\"'\\,;&<>(){}\[\]]"
_VALUE = rf"{_WORD}{{8,}}(?:\\/{_WORD}*)*"
_SEPARATOR = r"(?:[\"'\\]{0,6}\s{0,8}[:=]|[\"'\\]{1,6},)\s{0,8}(?:b(?=[\"']))?[\"'\\]{0,6}"
_QUOTED = r"(?:[\"'\\]{1,6}\s{0,8}[:,]\s{0,8}(?:b(?=[\"']))?[\"'\\]{1,6}|=)"
_NOT_A_NUMBER = r"(?![0-9.]+(?:[^A-Za-z0-9_.-]|$))"
_QUERY_NAMES = r"(?:key|api[-_]?key|token|access[-_]?token|auth|sig|signature|password|secret|client[-_]?secret)"


def _spread(name: str, rest: str) -> list[str]:
    """Return one alternative for each case of the first letter of `name`, each followed by `rest`."""
    return [f"{letter}(?i:{name[1:]}){rest}" for letter in (name[0].lower(), name[0].upper())]


def _at_word_start(literal: str) -> str:
    r"""Match `literal` where a word begins, also after `\n` in JSON text and `%3D` in a URL."""
    places = (
        rf"(?<![A-Za-z0-9]{literal})",
        rf"(?<=\\[nrtbf]{literal})",
        rf"(?<=%[0-9A-Fa-f]{{2}}{literal})",
        rf"(?<=\\u[0-9A-Fa-f]{{4}}{literal})",
    )
    return f"{literal}(?:{'|'.join(places)})"


# Each alternative begins with a literal and ends with one greedy class, so that the scan stays linear on any input.
# What a group matched is the key; without a group the whole match is. An empty first group marks "hide wholly".
_HIDE = "()"
_SHAPES = [
    rf"AIza{_TOKEN}{{10,}}",
    rf"AQ\.A{_TOKEN}{{18,}}",
    r"ya29\.[A-Za-z0-9._-]{8,}",
    rf"eyJ{_TOKEN}{{8,}}(?:\.{_TOKEN}+){{0,4}}",
    rf"gsk_{_TOKEN}{{8,}}",
    rf"gh[pousr]_{_TOKEN}{{8,}}",
    rf"github_pat_{_TOKEN}{{8,}}",
    rf"glpat-{_TOKEN}{{8,}}",
    rf"nvapi-{_TOKEN}{{8,}}",
    rf"pplx-{_TOKEN}{{8,}}",
    rf"xox[abeoprs]-{_TOKEN}{{8,}}",
    r"AKIA[0-9A-Z]{12,}",
    r"ASIA[0-9A-Z]{12,}",
    *(rf"{_at_word_start(literal)}{_TOKEN}{{8,}}" for literal in ("sk-", "sk_", "rk_", "xai-", "hf_", "r8_", "npm_")),
    rf"-----BEGIN [A-Z ]{{0,40}}PRIVATE KEY-----{_HIDE}((?:[^-]+|-(?!----END))*)",
    rf"://[^/\s:@\"'<>]{{0,256}}:{_HIDE}([^/\s@\"'<>]{{1,256}})@",
    rf"\?(?i:{_QUERY_NAMES})=([^&\s\"'<>#\\]+)",
    rf"&(?:amp;)?(?i:{_QUERY_NAMES})=([^&\s\"'<>#\\]+)",
    *_spread("bearer", r"(?:[\s:+]|%20){1,4}([A-Za-z0-9._~+/=-]{8,})"),
    *_spread("basic", rf"(?:\s|%20){{1,4}}(?=[a-z]{{0,64}}[A-Z0-9+/=]){_HIDE}([A-Za-z0-9+/_-]{{8,}}={{0,2}})"),
    *_spread("authorization", rf"{_SEPARATOR}(?i:basic)\s{{1,4}}{_HIDE}({_VALUE})"),
    *_spread("authorization", rf"{_SEPARATOR}(?:[A-Za-z]{{3,16}}\s{{1,4}})?({_VALUE})"),
    *_spread("api[-_ ]?key", rf"{_SEPARATOR}({_VALUE})"),
    *_spread("access[-_]?(?:token|key)", rf"{_SEPARATOR}({_VALUE})"),
    *_spread("secret", rf"(?i:[-_]?(?:access)?[-_]?key)?{_SEPARATOR}({_VALUE})"),
    *_spread("token", rf"{_QUOTED}{_NOT_A_NUMBER}({_VALUE})"),
    *_spread("passw(?:or)?d", rf"{_SEPARATOR}{_HIDE}({_VALUE})"),
    *_spread("passphrase", rf"{_SEPARATOR}{_HIDE}({_VALUE})"),
    *_spread("cookie", rf"{_SEPARATOR}{_HIDE}([A-Za-z0-9_.-]{{1,64}}=[^\"'\r\n\\]{{1,4096}})"),
]
_KEYS = re.compile("|".join(_SHAPES))
_MASKED_VALUE = re.compile(f"{ELLIPSIS}|[^{ELLIPSIS}]{{4}}{ELLIPSIS}[^{ELLIPSIS}]{{4}}", re.DOTALL)

_SHOWN_NAMES = (
    "apikey",
    "authorization",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "sessiontoken",
    "bearertoken",
    "clientsecret",
    "secretkey",
    "accesskey",
    "securitytoken",
)
_HIDDEN_NAMES = ("password", "passwd", "passphrase", "cookie", "secret", "privatekey")
_EXACT_NAMES = ("token", "pwd", "credential", "credentials", "bearer")
_SCHEME = re.compile(r"(?:bearer|basic|token|digest)\s+", re.IGNORECASE)


def show_ends(secret: str) -> str:
    """Return the first four and last four characters of a key; nothing of one shorter than twelve."""
    if _MASKED_VALUE.fullmatch(secret):
        return secret
    if len(secret) < SHORTEST_SHOWN:
        return ELLIPSIS
    return f"{secret[:4]}{ELLIPSIS}{secret[-4:]}"


def is_secret_name(name: str) -> bool:
    """Tell whether a field or header of this name holds a key ("x-api-key", "GEMINI_API_KEY"; not "max_tokens")."""
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    return plain.endswith(_SHOWN_NAMES + _HIDDEN_NAMES) or plain in _EXACT_NAMES


class Masker:
    """Hides a set of known keys, wherever and however encoded they occur, and all that looks like a key.

    Known keys shorter than eight characters are hidden only where a name, a scheme or a URL says what they are.
    Every method returns a new value, and the same again when applied to its own result.
    """

    __slots__ = ("_needles", "longest")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret.strip() for secret in secrets if secret}
        forms: dict[str, str] = {}
        for secret in sorted(known, key=lambda text: (-len(text), text)):
            if len(secret) >= SHORTEST_SECRET:
                for form, shown in encoded_forms(secret):
                    forms.setdefault(form, shown)
        self._needles = tuple(forms.items())
        self.longest = max((len(form) for form in forms), default=0)

    def mask_text(self, text: str | bytes | bytearray | memoryview) -> str:
        """Mask each key in a text of any size; bytes are read as UTF-8, what is not UTF-8 is replaced."""
        if isinstance(text, (bytes, bytearray, memoryview)):
            text = bytes(text).decode("utf-8", "replace")
        if len(text) < SHORTEST_MATCH:
            return text
        while True:  # it ends: each pass that changes something leaves fewer characters that are not an ellipsis
            masked = "".join([_KEYS.sub(_mask_match, piece) for _, piece in _pieces(self._mask_known(text))])
            if masked == text:
                return masked
            text = masked

    def mask(self, value: object, _depth: int = 0) -> object:
        """Mask a JSON-like value (dict, list, str, bytes, number, None); other objects by their text.

        Fields named like a key are masked by name; tuples and sets come back as lists.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (str, bytes, bytearray, memoryview)):
            return self.mask_text(value)
        if isinstance(value, (int, float)):
            return self._mask_number(value)
        if _depth >= DEEPEST:
            return TOO_DEEP
        if isinstance(value, Mapping):
            return self._mask_mapping(value, _depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.mask(item, _depth + 1) for item in value]
        return self.mask_text(str(value))

    def mask_named(self, name: str, text: str) -> str:
        """Mask the text of a field or header by the field's name; the scheme ("Bearer ") stays readable."""
        if not text or not is_secret_name(name):
            return self.mask_text(text)
        plain = name.lower().replace("-", "").replace("_", "")
        scheme = _SCHEME.match(text)
        start = scheme.end() if scheme else 0
        hidden = plain.endswith(_HIDDEN_NAMES) and not plain.endswith(_SHOWN_NAMES) or plain == "pwd"
        if hidden or text[:start].lower().startswith(("basic", "digest")):
            return text[:start] + ELLIPSIS
        masked = self.mask_text(show_ends(text[start:]))
        return text[:start] + (masked if _MASKED_VALUE.fullmatch(masked) else ELLIPSIS)

    def mask_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Mask the values of HTTP headers, by name and by content."""
        return {self.mask_text(str(name)): self.mask_named(str(name), str(value)) for name, value in headers.items()}

    def mask_url(self, url: str) -> str:
        """Mask user information, keys in the query and known keys in the path of a URL."""
        return self.mask_text(url)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where keys are in `text`, as (start, end), merged and in order."""
        found = [(start, end) for start, end, _ in self._find_known(text)]
        for offset, piece in _pieces(text):
            for match in _KEYS.finditer(piece):
                start, end = match.span(match.lastindex or 0)
                found.append((offset + start, offset + end))
        return [(start, end) for start, end, _ in _merge([(start, end, "") for start, end in found])]

    def is_clean(self, text: str) -> bool:
        """Tell whether `text` holds no known key and nothing that looks like one: then masking leaves it as it is."""
        return not self.knows(text) and not any(
            _KEYS.search(text, start, start + LONG + OVERLAP) for start in range(0, len(text), LONG)
        )

    def knows(self, text: str) -> bool:
        """Tell whether `text` holds a known key in any of its forms."""
        return any(needle in text for needle, _ in self._needles)

    def open_prefix(self, text: str) -> int | None:
        """Return where a known key may have begun that the end of `text` cuts off; at least five characters of it."""
        starts = []
        for needle, _ in self._needles:
            head = needle[:5]
            position = text.find(head, max(0, len(text) - len(needle) + 1))
            while position >= 0:
                if needle.startswith(text[position:]):
                    starts.append(position)
                    break
                position = text.find(head, position + 1)
        return min(starts, default=None)

    def _mask_mapping(self, value: Mapping, depth: int) -> dict:
        is_logprob = "logprob" in value  # there "token" is a word of the answer
        masked: dict = {}
        for key, item in value.items():
            name = str(key)
            by_name = is_secret_name(name) and not (is_logprob and name == "token")
            if by_name and isinstance(item, (list, tuple)):
                item = [self.mask_named(name, entry) if isinstance(entry, str) else entry for entry in item]
            shown_key = self.mask_text(name)
            if by_name and isinstance(item, bytes):
                item = item.decode("utf-8", "replace")
            if by_name and isinstance(item, str):
                masked[shown_key] = self.mask_named(name, item)
            else:
                masked[shown_key] = self.mask(item, depth + 1)
        return masked

    def _mask_number(self, value: int | float) -> object:
        text = repr(value)
        return self.mask_text(text) if self._find_known(text) else value

    def _find_known(self, text: str) -> list[tuple[int, int, str]]:
        found = []
        for needle, shown in self._needles:
            position = text.find(needle)
            while position >= 0:
                found.append((position, position + len(needle), shown))
                position = text.find(needle, position + 1)
        return found

    def _mask_known(self, text: str) -> str:
        found = self._find_known(text)
        if not found:
            return text
        parts, position = [], 0
        for start, end, shown in _merge(found):
            parts += [text[position:start], shown]
            position = end
        return "".join(parts) + text[position:]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Cut a long text where no key is, at a blank if there is one; yield where each piece begins, and the piece."""
    start, reach = 0, LONG
    while len(text) - start > reach + OVERLAP:
        window = text[start : start + reach + OVERLAP]
        cut = max(window.rfind(blank, reach - OVERLAP, reach) for blank in (" ", "\n")) + 1 or reach
        for match in _KEYS.finditer(window):
            if match.start() < cut < match.end():
                cut = match.start()
        if cut == 0:  # one key is longer than the window
            reach *= 2
            continue
        yield start, window[:cut]
        start, reach = start + cut, LONG
    yield start, text[start:]


def _merge(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join overlapping spans; a joined one is hidden wholly unless one key covers it all."""
    merged: list[tuple[int, int, str]] = []
    for start, end, shown in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            first, last, first_shown = merged[-1]
            merged[-1] = (first, max(last, end), first_shown if end <= last else ELLIPSIS)
        else:
            merged.append((start, end, shown))
    return merged


def _mask_match(match: re.Match[str]) -> str:
    last = match.lastindex
    if last is None:
        return show_ends(match.group())
    hidden = last > 1 and match.group(last - 1) == ""
    secret = match.group(last)
    before, after = match.start(last) - match.start(), match.end(last) - match.start()
    whole = match.group()
    shown = (ELLIPSIS if secret else "") if hidden else show_ends(secret)
    return whole[:before] + shown + whole[after:]


@lru_cache(maxsize=4096)
def encoded_forms(secret: str) -> tuple[tuple[str, str], ...]:
    """Return each text in which a key may appear (plain, JSON, URL, HTML, repr, base64), with what is shown instead."""
    raw = secret.encode("utf-8", "surrogatepass")
    texts = {secret, html.escape(secret), repr(secret)[1:-1], repr(raw)[2:-1], raw.decode("utf-8", "replace")}
    for ascii_only in (True, False):
        inner = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        texts |= {inner, inner.replace("/", "\\/"), json.dumps(inner, ensure_ascii=ascii_only)[1:-1]}
    for safe in ("", "/", "/:@", "~"):
        for encoded in (quote(raw, safe=safe), quote_plus(raw, safe=safe)):
            texts |= {encoded, re.sub("%..", lambda found: found.group().lower(), encoded), quote(encoded, safe="")}
    shown = show_ends(secret) if len(secret) >= SHORTEST_SHOWN else ELLIPSIS
    forms = [(text, shown) for text in texts]
    forms += [(text, ELLIPSIS) for text in _base64_cores(raw)]
    return tuple(sorted(forms, key=lambda form: (-len(form[0]), form)))


def _base64_cores(raw: bytes) -> set[str]:
    """Return what base64 makes of `raw` at each of the three positions it can have in a longer text ("user:key")."""
    cores = set()
    for shift in range(3):
        padded = bytes(shift) + raw
        first, last = (shift * 8 + 5) // 6, len(padded) * 8 // 6
        cores |= {encode(padded).decode()[first:last] for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return cores
