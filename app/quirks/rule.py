"""What a repair rule is, and how its mode (fix, warn, off) is read; knows no rule."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from app.errors import ConfigError

FIX, WARN, OFF = "fix", "warn", "off"
MODES = {"fix": FIX, "on": FIX, "true": FIX, "warn": WARN, "off": OFF, "false": OFF}
STAGES = ("request", "answer", "error")

SignatureLookup = Callable[[Sequence[str]], Mapping[str, str]]


class Rule(NamedTuple):
    """One departure and its repair. `families` is empty when every upstream may need it."""

    id: str
    stage: str
    families: tuple[str, ...]
    apply: Callable[..., object]
    default: str = FIX

    @property
    def departure(self) -> str:
        """The first paragraph of the repair's docstring: what departs, and where it was seen."""
        return " ".join((self.apply.__doc__ or "").strip().partition("\n\n")[0].split())

    def serves(self, family: str) -> bool:
        """Tell whether the rule belongs to upstreams of `family`."""
        return not self.families or family in self.families


class Facts(NamedTuple):
    """What request rules may know besides the body. `renames` and `dropped` are written to, all else is read."""

    family: str = ""
    model: str = ""
    generation: float = 0.0
    host: str = ""
    options: Mapping = {}
    limit: Mapping = {}
    stream: bool = False
    openai_dialect: bool = True
    learned: frozenset[str] = frozenset()
    defaulted: frozenset[str] = frozenset()
    signatures: SignatureLookup | None = None
    client: str = ""
    renames: dict[str, str] = {}
    dropped: list[str] = []


def parse_modes(text: str) -> dict[str, str]:
    """Read `rule=mode,rule=mode`; raise ConfigError for a mode that does not exist."""
    pairs = (item.partition("=") for item in text.replace(";", ",").split(",") if item.strip())
    return check_modes({rule.strip(): mode.strip() for rule, _, mode in pairs})


def check_modes(modes: Mapping[str, str]) -> dict[str, str]:
    """Return `modes` with `on` read as `fix`; raise ConfigError when one of them is not fix, warn or off."""
    checked = {rule: MODES.get(str(mode).lower(), "") for rule, mode in modes.items()}
    for rule, mode in checked.items():
        if not mode:
            raise ConfigError(f"The repair {rule!r} is set to {modes[rule]!r}; use one of fix, warn, off.")
    return checked


def mode_of(rule: Rule, modes: Mapping[str, str]) -> str:
    """Return the mode of a rule; `name=off` without a dot sets all rules whose id starts with `name.`."""
    return modes.get(rule.id) or modes.get(rule.id.partition(".")[0]) or rule.default
