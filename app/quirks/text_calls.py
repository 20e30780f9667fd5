"""What is done for models that answer in text of their own (tools written into the prompt, Harmony): the names of it.

The work is `emulation`'s; these are the ids under which reports, logs and documents speak of it.
"""

from app.quirks.ledger import answer_rule
from app.quirks.rule import Rule

HARMONY = ("gpt-oss",)


def _told(rule_id: str, departure: str, stage: str = "answer", families: tuple[str, ...] = ()) -> Rule:
    """Make a rule that is only told of: what it names is done by the layer that renders and reads the text."""

    def apply() -> None:
        return None

    apply.__doc__ = departure
    return answer_rule(rule_id, apply, *families)._replace(stage=stage)


RULES = (
    _told("emulation.prompt", "The model knows no tools (options.toolEmulation): they are written into its prompt.", "request"),
    _told("emulation.history", "Calls and results of the history are written as text for a model without tools.", "request"),
    _told(
        "emulation.budget",
        "The context is too small (options.maxSystemCharacters, maxPromptTokens): the system text is cut, the oldest turns "
        "are dropped, long tool results lose their middle; the tools stay whole.",
        "request",
    ),
    _told(
        "emulation.format",
        "The upstream knows no response_format: JSON is asked for in words, and taken out of the fence it comes in.",
        "request",
    ),
    _told("emulation.images", "A model that reads text only is told that there was an image, sound or file.", "request"),
    _told("emulation.calls", "A call is read out of the text of a model without tools."),
    _told("emulation.arguments", "A call in text is not exact: a bare value, other types, single quotes, an open end."),
    _told("emulation.undeclared", "A call in text names a tool that nobody offered: it stays text."),
    _told("emulation.results", "The model writes tool results itself and goes on from them: the answer ends before."),
    _told(
        "emulation.retry",
        "Arguments of a call in text do not fit their tool: the model is asked once more (options.toolRepairTurns).",
    ),
    _told("harmony.marker", "Control tokens of Harmony stand where none belongs; none leaves.", "answer", HARMONY),
    _told("harmony.header", "A Harmony header is damaged: doubled or missing markers (vllm#32587).", "answer", HARMONY),
    _told("harmony.role", "A Harmony message of another role stands in the answer.", "answer", HARMONY),
    _told("harmony.channel", "A Harmony channel is unknown or missing; its text is kept.", "answer", HARMONY),
    _told("harmony.junk", "Text stands between Harmony messages; it is kept.", "answer", HARMONY),
    _told("harmony.stripped", "The server took Harmony's control tokens out (analysis…assistantfinal…).", "answer", HARMONY),
    _told("harmony.undeclared", "A tool that nobody offered is called (python, browser): no call is made.", "answer", HARMONY),
    _told("harmony.cut", "A Harmony call is cut off: its half is not passed on.", "answer", HARMONY),
)
