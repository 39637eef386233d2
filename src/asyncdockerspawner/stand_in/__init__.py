"""Standing in for DockerSpawner's package, for code that imports it."""

from asyncdockerspawner.stand_in.modules import install_as_dockerspawner

__all__ = ["install_as_dockerspawner"]
