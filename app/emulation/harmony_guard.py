"""Control tokens in texts that are not ours: a prompt is one text, so what a user writes must not end a message."""

import re

JOINER = "\u200d"
# The named special tokens of gpt-oss's vocabulary, o200k_harmony; all other ids from 199998 on are `reserved_ID`.
HARMONY = (
    "start", "end", "message", "channel", "constrain", "return", "call", "startoftext", "endoftext", "endofprompt",
    r"reserved_\d+",
)  # fmt: skip
# The marks of the simplified dialect.
SIMPLE = ("system", "user", "assistant", "tool_call", "end_tool_call", "tool_result")


def pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"<(?=\|(?:{'|'.join(names)})\|>)")


_HARMONY = pattern(HARMONY)
_ALL = pattern(HARMONY + SIMPLE)


def harmony_guard(text: str) -> str:
    """Return `text` with a zero-width joiner behind the `<` of each of Harmony's control tokens."""
    return _HARMONY.sub(f"<{JOINER}", text) if "<|" in text else text


def simple_guard(text: str) -> str:
    """Return `text` with the marks of the simplified dialect and the tokens of the model behind it broken."""
    return _ALL.sub(f"<{JOINER}", text) if "<|" in text else text
