"""Advice about an image's version of JupyterHub."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jupyterhub
import pytest
from traitlets.log import get_logger

from asyncdockerspawner.lifecycle.advice import report_other_version

MAJOR = jupyterhub.version_info[0]


def told(version: str) -> list[str]:
    lines: list[str] = []
    server: Any = SimpleNamespace(
        policy=SimpleNamespace(image="lab:1"),
        hub=SimpleNamespace(report=lines.append),
        engine=SimpleNamespace(told=set()),
        log=get_logger(),
    )
    report_other_version(server, version)
    return lines


@pytest.mark.parametrize("version", ["", jupyterhub.__version__, f"{MAJOR}.0.0b1"])
def test_nothing_is_said_of_the_same_major_version_or_an_unknown_one(version: str) -> None:
    assert told(version) == []


@pytest.mark.parametrize("version", [f"{MAJOR - 1}.9.9", f"{MAJOR + 1}.0", "odd"])
def test_another_major_version_is_told_with_image_and_both_versions(version: str) -> None:
    [line] = told(version)
    assert all(part in line for part in ("lab:1", version, jupyterhub.__version__))
