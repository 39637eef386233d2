"""docker-py's low-level client as old hooks and subclasses know it, without its threads.

`docker()` is behind `spawner.docker("method", …)`, `PureClient` is `spawner.client`, and `settings_of()` is
how an overridden `client` chooses the Engine. `raises_docker_pys` and `in_both` have our errors caught as
docker-py's. Words, defaults and answers: docker-py 7's `APIClient`.
"""

from asyncdockerspawner.docker_py.calls import docker
from asyncdockerspawner.docker_py.failures import in_both, raises_docker_pys
from asyncdockerspawner.docker_py.pure import PureClient, configured_client, needs_thread, settings_of

__all__ = [
    "PureClient",
    "configured_client",
    "docker",
    "in_both",
    "needs_thread",
    "raises_docker_pys",
    "settings_of",
]
