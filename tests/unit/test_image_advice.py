"""Advice about an image's version of JupyterHub."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jupyterhub
import pytest
from traitlets.log import get_logger

from asyncdockerspawner.client.settings import EngineSettings
from asyncdockerspawner.engine.engine import Engine
from asyncdockerspawner.lifecycle.advice import report_other_version

MAJOR = jupyterhub.version_info[0]
MOST_TEXTS = 1000


def told(version: str, image: str = "lab:1", engine: Any = None) -> list[str]:
    lines: list[str] = []
    server: Any = SimpleNamespace(
        policy=SimpleNamespace(image=image),
        hub=SimpleNamespace(report=lines.append),
        engine=engine or SimpleNamespace(told=set()),
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


async def test_whatever_images_say_no_more_of_it_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(EngineSettings(url="unix:///nowhere/docker.sock"))
    told("odd", engine=engine)
    told("odd", engine=engine)
    assert caplog.text.count("has JupyterHub odd,") == 1
    for number in range(3000):
        told(f"odd.{number}", engine=engine)
        told("odd", f"lab:{number}", engine)
        told(f"odd.{number:010000}", engine=engine)
    assert len(engine.told) == MOST_TEXTS
    assert max(map(len, engine.told._texts)) < 200
    await engine.aclose()
