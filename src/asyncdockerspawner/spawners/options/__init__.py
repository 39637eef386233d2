"""What a site configures, by subject."""

from asyncdockerspawner.spawners.options.deprecated import DeprecatedTraits
from asyncdockerspawner.spawners.options.image import ImageTraits
from asyncdockerspawner.spawners.options.lifetime import LifetimeTraits
from asyncdockerspawner.spawners.options.naming import NamingTraits
from asyncdockerspawner.spawners.options.network import NetworkTraits
from asyncdockerspawner.spawners.options.per_spawn import PerSpawnValues
from asyncdockerspawner.spawners.options.queue import QueueTraits
from asyncdockerspawner.spawners.options.runtime import RuntimeTraits
from asyncdockerspawner.spawners.options.storage import StorageTraits


class Options(
    PerSpawnValues,
    ImageTraits,
    NamingTraits,
    NetworkTraits,
    QueueTraits,
    StorageTraits,
    RuntimeTraits,
    LifetimeTraits,
    DeprecatedTraits,
):
    """Every option of this package."""


__all__ = ["Options"]
