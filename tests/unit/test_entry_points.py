"""The names that `c.JupyterHub.spawner_class` takes."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import asyncdockerspawner

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
GROUP = "jupyterhub.spawners"
CLASSES = {
    # DockerSpawner's names.
    "docker": asyncdockerspawner.DockerSpawner,
    "docker-swarm": asyncdockerspawner.SwarmSpawner,
    "docker-system-user": asyncdockerspawner.SystemUserSpawner,
    # Ours, which stay ours where both are installed.
    "asyncdocker": asyncdockerspawner.DockerSpawner,
    "asyncdocker-swarm": asyncdockerspawner.SwarmSpawner,
    "asyncdocker-system-user": asyncdockerspawner.SystemUserSpawner,
    "asyncdocker-system-user-swarm": asyncdockerspawner.SystemUserSwarmSpawner,
}


def test_each_name_is_that_of_its_class() -> None:
    found = PROJECT["entry-points"][GROUP]
    assert {name: EntryPoint(name, value, GROUP).load() for name, value in found.items()} == CLASSES
