"""Texts and markers of a Harmony completion, in turn -> events; knows nothing of pieces or of markers cut in two.

Analysis is reasoning; commentary without recipient and final are text; what goes to a declared function is a call, on
any channel and whatever ends it. Messages of others (results that the model invents) and for tools that nobody
declared are not passed on. Text between messages is junk, unless the answer has no other text. Control tokens are
tokens wherever they stand, but inside the JSON strings of a call: none becomes text elsewhere.
"""

from typing import NamedTuple

from app.emulation.events import Call, Event, Reasoning, Text
from app.emulation.harmony_arguments import Arguments
from app.emulation.harmony_calls import NAMESPACE, HarmonyTools, is_cut
from app.emulation.harmony_header import (
    ANALYSIS,
    ASSISTANT,
    CALL,
    CHANNEL,
    CHANNELS,
    COMMENTARY,
    CONSTRAIN,
    END,
    FINAL,
    MESSAGE,
    OTHERS,
    RETURN,
    START,
    Header,
    may_imply_header,
    read_header,
)
from app.emulation.loose_json import is_sound

HEADER, BODY, BETWEEN, DONE = range(4)
SHOWN, CALLED, UNDECLARED, FOREIGN = range(4)

MAX_HEADER = 2000  # characters; a name has 64
MAX_JUNK = 200  # characters between two messages; more is an answer without a header
MAX_RESUMED = 8  # calls that broke off inside a string; what follows each is read a second time
SEPARATOR = "\n\n"  # between two messages of one kind
NOBODY = ("assistant", "user", "all")  # recipients that are none: "commentary to=assistant" (llama.cpp)


class Message(NamedTuple):
    """The message that is being read: what becomes of its text."""

    kind: int = SHOWN
    event: type[Text] | type[Reasoning] = Text
    name: str = ""
    answers: bool = True  # nothing follows it but its end
    raw: str = ""


class Messages:
    """Takes texts and markers; what was read collects in `out`, which the caller empties.

    `plain` is the event that text without markers becomes just now, None when `text` must look at it. `dropped` are
    calls that were not passed on: of undeclared tools, and those cut off. `repairs` names what was tolerated, with the
    text where it was first seen.
    """

    def __init__(self, tools: HarmonyTools) -> None:
        self.out: list[Event] = []
        self.plain: type[Text] | type[Reasoning] | None = None
        self.state = BETWEEN
        self.dropped: list[Call] = []
        self.repairs: dict[str, str] = {}
        self._tools = tools
        self._header: list[str] = []
        self._started = False
        self._message = Message()
        self._arguments = Arguments()
        self._resumed = 0
        self._undeclared = ""
        self._fresh = True
        self._junk: list[str] = []
        self._size = 0  # of the header, or of the junk
        self._said: set[type] = set()
        self._calls = 0
        self._answered = False
        self._whole = False  # whether the last thing read is a whole call

    @property
    def unanswered(self) -> str:
        """The tool that nobody declared and that the model waits for: no answer and no call of another was made; or ""."""
        return "" if self._answered else self._undeclared.removeprefix(NAMESPACE)

    def note(self, repair: str, seen: str) -> None:
        """Remember the first time that something had to be tolerated."""
        self.repairs.setdefault(repair, seen[:MAX_JUNK])

    def begin_header(self, started: bool) -> None:
        """A message begins; `started` with its marker."""
        self.state, self._started, self._whole = HEADER, started, False
        self._header, self._size = [], 0

    def begin_text(self) -> None:
        """The answer begins without any header."""
        self._open(Header(), "")

    def text(self, run: str) -> None:
        """Take text that holds no marker."""
        if self.state == BODY:
            if self._message.kind == SHOWN:
                self._show(run)
            elif self._message.kind != FOREIGN:
                self._arguments.add(run)
        elif self.state == HEADER:
            room = max(0, MAX_HEADER - self._size)
            self._header.append(run[:room])
            self._size += len(run)
            if len(run) > room:
                self._open_unended()
                self.text(run[room:])
        elif self.state == BETWEEN:
            self._take_junk(run)

    def mark(self, marker: str, behind_begun: bool = False) -> None:
        """Take a marker; `behind_begun` tells that the text before it ends like the beginning of one."""
        if self.state == BODY:
            self._mark_body(marker, behind_begun)
        elif self.state == HEADER:
            self._mark_header(marker)
        elif self.state == BETWEEN:
            self._mark_between(marker)

    def end(self, held: str, finish: str | None) -> str:
        """Take the end of the completion; `held` is the beginning of a marker that it cut. Return how the turn ended.

        What is open then was cut, unless `finish` says that the model was done: then a call is broken, and passed on.
        """
        told = finish not in (None, "length")
        soft = bool(held)
        held = self._end_string(held, finish)
        cut = self.state == HEADER
        if cut:
            self.note("harmony.cut", "".join(self._header))
            self._open_unended(cut=True)
            held = ""
        elif self.state == BETWEEN and self._is_speech("".join(self._junk)):
            self._speak()
        if self.state == BODY:
            soft = soft or self._message.event is Reasoning
            cut = self._end_body(held, cut, told)
        cut = cut and not (told and self._answered)
        whole = self._whole or self.state == DONE
        self.state, self.plain = DONE, None
        if cut or (finish == "length" and not whole):
            return "length"
        if self._calls:
            return "tool_calls"
        return "length" if soft and finish is None else "stop"

    def _end_string(self, held: str, finish: str | None) -> str:
        """A call that ends inside a string broke off earlier, if a marker there looks like its end; return what is held."""
        if self._in_call() and self._arguments.in_string:
            self._arguments.add(held)
            held = ""
        while self._in_call():
            told = self._arguments.ends_with_end() if finish is None else finish != "length"
            if not self._resume(told):
                break
        return held

    def _end_body(self, held: str, cut: bool, told: bool) -> bool:
        """End the last message, whose header was `cut` or not; return whether it counts as cut."""
        message = self._message
        if message.kind == SHOWN:
            if held:
                self.text(held)
            self._answered = self._answered or (message.answers and not self._fresh)
            return cut and (self._fresh or not told)
        text = self._arguments.text
        if message.kind == UNDECLARED and cut:
            return True  # a name that was cut
        bare = text.lstrip()[:1] not in ("", "{", "[") and not is_sound(text)  # one text, which ends where the answer does
        if message.kind == CALLED and (is_cut(text) or bare) and not (told and (text.strip() or not cut)):
            self._drop(message, text + held, "cut off")
            return True
        self._end_message(END)
        return cut and message.kind != CALLED

    def _show(self, run: str) -> None:
        event = self._message.event
        if self._fresh:
            run = SEPARATOR + run if event in self._said else run
            self._said.add(event)
            self._fresh = False
            self.plain = event
        self.out.append(event(run))

    def _mark_body(self, marker: str, behind_begun: bool) -> None:
        if self._in_call() and self._resumed < MAX_RESUMED and self._arguments.takes(marker, behind_begun):
            return
        if marker in (MESSAGE, CONSTRAIN):
            self.note("harmony.marker", marker)
            if behind_begun:
                self.text(" ")  # or what is left on both sides of the marker would read as one
        elif self._in_call() and self._resume(True):
            self.mark(marker, behind_begun)
        else:
            self._end_message(marker)

    def _in_call(self) -> bool:
        return self.state == BODY and self._message.kind in (CALLED, UNDECLARED)

    def _resume(self, ended: bool) -> bool:
        """End a call at the marker inside a string at which it broke off, and read what followed; False if there is none."""
        place = self._arguments.broken_at(ended)
        if place is None:
            return False
        self._resumed += 1
        (marker, _), *rest = self._arguments.cut_at(place)
        self._end_message(marker)
        for part, behind_begun in rest:
            if behind_begun is None:
                self.text(part)
            else:
                self.mark(part, behind_begun)
        return True

    def _mark_header(self, marker: str) -> None:
        if marker == MESSAGE:
            raw = "".join(self._header)
            self._open(read_header(raw, started=self._started), raw + MESSAGE)
        elif marker in (CHANNEL, CONSTRAIN):
            self._header.append(marker)
            self._size += len(marker)
            if self._size > MAX_HEADER:
                self._open_unended()
        else:
            self._open_unended()
            if self.state == BODY:
                self._end_message(marker)

    def _mark_between(self, marker: str) -> None:
        junk = "".join(self._junk)
        if marker in (START, CHANNEL, MESSAGE, CONSTRAIN):
            self.begin_header(marker == START)
            if marker != START:
                self.text(junk)
                self._mark_header(marker)
            if junk.strip() and (marker == START or not may_imply_header(junk)):
                self.note("harmony.junk", junk)
        elif marker != CALL and self._is_speech(junk):
            self._speak()
            self._end_message(marker)
        elif marker == RETURN and self._answered:
            self.state = DONE
        elif junk:
            self._take_junk(" ")

    def _take_junk(self, run: str) -> None:
        self._size += len(run)
        if self._size <= MAX_JUNK:
            self._junk.append(run)
        elif self._answered:
            self._junk = []
        else:
            self._junk.append(run)
            self._speak()

    def _is_speech(self, junk: str) -> bool:
        """Tell whether text outside messages is the answer: llama-server sends it so (reasoning_format "none")."""
        return not self._answered and any(map(str.isalnum, junk)) and junk.strip() != ASSISTANT

    def _speak(self) -> None:
        junk = "".join(self._junk)
        self.note("harmony.header", junk)
        self.begin_text()
        self.text(junk)

    def _open_unended(self, cut: bool = False) -> None:
        """Open the message whose `<|message|>` is missing, with what its header holds beyond a header."""
        raw = "".join(self._header)
        if raw.strip() not in ("", ASSISTANT):
            self.note("harmony.header", raw)
        header = read_header(raw, started=self._started, ended=False)
        self._open(header, raw.removesuffix(header.rest))
        if self._message.kind == SHOWN:
            wanted = _is_message(header, cut)
        else:
            wanted = bool(header.rest) and (not cut or header.rest[0] in "{[")
        if wanted:
            self.text(header.rest)

    def _open(self, header: Header, raw: str) -> None:
        self.state, self.plain, self._whole = BODY, None, False
        self._arguments, self._fresh = Arguments(), True
        self._message = self._route(header, f"{START}{raw}" if self._started else raw)

    def _route(self, header: Header, raw: str) -> Message:
        """Decide what becomes of a message."""
        foreign = header.role != ASSISTANT
        if foreign and (header.role in OTHERS or ASSISTANT in header.recipients or self._is_tool(header.role)):
            self.note("harmony.role", raw)
            self.state = DONE if self._answered else BODY  # what follows it answers something that nobody said
            return Message(FOREIGN, answers=False)
        addressed = [name for name in reversed(header.recipients) if name not in NOBODY]
        for name in (*addressed, *header.named):
            if own := self._tools.find(name):
                return Message(CALLED, name=own, raw=raw)
        if addressed:
            return Message(UNDECLARED, name=addressed[0], raw=raw)
        if header.channel in ("", FINAL, COMMENTARY):
            return Message(answers=header.channel != COMMENTARY)
        if header.channel != ANALYSIS:
            self.note("harmony.channel", header.channel)
        return Message(event=Reasoning, answers=False)

    def _is_tool(self, role: str) -> bool:
        return role.startswith(NAMESPACE) or self._tools.find(role) is not None

    def _end_message(self, marker: str) -> None:
        """The message ends with `marker`; another may follow."""
        message = self._message
        if message.kind == CALLED:
            self._answered = self._whole = True
            self._calls += 1
            text = self._arguments.text
            ended = marker in (CALL, END, RETURN)
            self.out.append(self._tools.call(message.name, text, message.raw + text, bare=ended))
        elif message.kind == UNDECLARED:
            self._undeclared = message.name
            self._drop(message, self._arguments.text, "not declared")
        elif message.answers and not self._fresh:
            self._answered = True
        self.plain, self._junk, self._size = None, [], 0
        self.state = DONE if marker == RETURN and message.answers and self._answered else BETWEEN
        if marker in (START, CHANNEL):
            self.begin_header(marker == START)
            if marker == CHANNEL:
                self._mark_header(marker)

    def _drop(self, message: Message, text: str, why: str) -> None:
        self.note("harmony.cut" if why == "cut off" else "harmony.undeclared", message.name)
        self.dropped.append(Call(message.name, text, why, raw=message.raw + text))


def _is_message(header: Header, cut: bool) -> bool:
    """Tell whether the rest of a header that lacks `<|message|>` is a message, not a header spelled wrongly."""
    rest = header.rest
    for word in (*CHANNELS, "json", "code"):
        rest = rest.replace(word, " ")
    if header.channel in ("", FINAL):
        found = any(map(str.isalnum, rest))
    else:
        found = any(map(str.isalpha, rest))
    return found and (not cut or len(rest.split()) > 1)
