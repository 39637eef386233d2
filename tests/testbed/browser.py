"""Chromium, for the tests that walk through the Hub's pages."""

from __future__ import annotations

import shutil

from tests.testbed import apt
from tests.testbed.steps import TestbedError

NAMES = ("chromium", "chromium-browser", "google-chrome")


def ensure_chromium() -> str:
    """The path of a Chromium; installed where it is missing and that is allowed."""
    found = _find()
    if found is None:
        apt.install("chromium", purpose="the browser tests")
        found = _find()
    if found is None:
        raise TestbedError("The package chromium is installed, but its program is not on PATH.")
    return found


def _find() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)
