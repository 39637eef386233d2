"""Where tests leave what people may want to look at: pictures of pages, logs."""

from __future__ import annotations

import os
import re
from pathlib import Path

VARIABLE = "ASYNCDOCKERSPAWNER_ARTEFACTS"


def artefact(name: str) -> Path:
    """Give the file of this name, in the folder that the environment says or in `tests/.artefacts`."""
    folder = Path(os.environ.get(VARIABLE) or Path(__file__).resolve().parents[1] / ".artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / re.sub(r"[^\w.-]+", "-", name)
