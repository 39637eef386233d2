"""An async-native JupyterHub spawner on the Docker Engine HTTP API."""

from __future__ import annotations

from asyncdockerspawner.spawners.docker import DockerSpawner
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.spawners.system_user import SystemUserSpawner
from asyncdockerspawner.spawners.system_user_swarm import SystemUserSwarmSpawner
from asyncdockerspawner.stand_in.modules import install_as_dockerspawner

__all__ = [
    "DockerSpawner",
    "SwarmSpawner",
    "SystemUserSpawner",
    "SystemUserSwarmSpawner",
    "__version__",
    "install_as_dockerspawner",
]

__version__ = "0.1.0.dev0"
