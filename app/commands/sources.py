"""Where a captured request comes from: the database, by its id, or a capture file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.capture import CaptureError, load_capture
from app.commands.options import BAD_SETTINGS, stop
from app.recording import Recording

if TYPE_CHECKING:
    from app.config import Settings

ENDINGS = (".jsonl", ".jsonl.gz")


def find(wanted: str, load_settings: "Callable[[], Settings]") -> Recording:
    """Return what is named: a file, else the stored request of that id; end the process where there is none."""
    if wanted.endswith(ENDINGS) or Path(wanted).is_file():
        return read_file(Path(wanted))
    from app.commands.stored import find_row, load, open_stored

    reader = open_stored(load_settings())
    return Recording(load(reader, find_row(reader, wanted)))


def read_file(path: Path) -> Recording:
    """Read a capture file; end the process where it is none."""
    try:
        return Recording(load_capture(path), path.name)
    except (OSError, CaptureError) as error:
        stop(f"{path}: {error}", BAD_SETTINGS)
