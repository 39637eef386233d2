"""Options: how containers are made, how long they stay, and on which Engine."""

from __future__ import annotations

from jupyterhub.traitlets import ByteSpecification
from traitlets import Bool, CaselessStrEnum, Dict, Float, HasTraits, Unicode, Union, default

from asyncdockerspawner.names import labels
from asyncdockerspawner.spawners.options.per_spawn import FunctionOr, PerSpawn


class RuntimeTraits(HasTraits):
    """The container and its Engine."""

    @default("cmd")
    def _default_cmd(self) -> None:
        """Leave the command to the image."""

    def _env_keep_default(self) -> list[str]:
        # What surrounds the Hub's process has no meaning inside a container.
        return []

    remove = Bool(
        False,
        help="""Remove a server's container when the server stops.

        False keeps it, and the next start resumes it as it was made, with its files but also with its old
        image, environment and limits. True makes every start a fresh one; what is to last belongs in
        `volumes` then. Named volumes are never removed with a container.
        """,
    ).tag(config=True)

    mem_limit = PerSpawn(
        ByteSpecification(allow_none=True),
        0,
        help="""Memory that a server may use: bytes, or a text such as `512M` or `2G`; 0 or None is no limit.

        May be a function of the spawner.
        """,
    ).tag(config=True)

    cpu_limit = PerSpawn(
        Float(allow_none=True),
        0.0,
        help="""CPUs that a server may use, such as 1.5; 0 or None is no limit.

        May be a function of the spawner.
        """,
    ).tag(config=True)

    healthcheck = Union(
        [CaselessStrEnum(["image", "none"]), Dict()],
        default_value="image",
        help="""How the Engine itself looks whether a server is well: as the `image` says, not at all
        (`none`), or a dictionary of docker-py's words for a `Healthcheck` (`test`, `interval`, …, with times
        in nanoseconds).

        Nothing here reads what it finds: the Hub asks the server itself. Each look starts a program in the
        container, in the images of docker-stacks every five seconds; `none` spares that.
        """,
    ).tag(config=True)

    on_drift = CaselessStrEnum(
        ["warn", "reuse", "recreate"],
        default_value="warn",
        help="""What to do with a kept container (`remove = False`) that was made with another image, command,
        environment, other limits or mounts than are configured now.

        - `warn` (default): start it as it was made, and log in what it differs;
        - `reuse`: start it as it was made;
        - `recreate`: make a new one. The old one is removed if no file changed in it below a home or its
          working directory (files in volumes do not count), else it is kept as `NAME-kept-ID`.

        Containers that DockerSpawner made never count as different. Whatever this says, one of a system
        user's that was made to run as another uid or gid, as root or in other groups is made anew.
        """,
    ).tag(config=True)

    orphan_policy = CaselessStrEnum(
        ["keep", "stop", "remove"],
        default_value="keep",
        help="""What to do with containers that carry this Hub's label but are not in its database, looked
        for when the Hub starts: `keep` and log their names, `stop`, or stop and `remove`.

        One that was made with `remove = False` is never removed.
        """,
    ).tag(config=True)

    extra_create_kwargs = FunctionOr(
        Dict(),
        {},
        help="""More for the container, merged over all else: docker-py's words for `create_container`
        (`user`, `labels`, `hostname`, `command`, …) or the Engine's own keys. Templates are rendered.

        May be a callable, sync or async, of the spawner.
        """,
    ).tag(config=True)

    extra_host_config = FunctionOr(
        Dict(),
        {},
        help="""More for the container's host side, merged over all else: docker-py's words for HostConfig
        (`network_mode`, `device_requests`, `cap_drop`, `shm_size`, …) or the Engine's own keys. Templates
        are rendered.

        May be a callable, sync or async, of the spawner.

            c.DockerSpawner.extra_host_config = {"cap_drop": ["ALL"], "shm_size": "1g"}
        """,
    ).tag(config=True)

    hub_id = Unicode(
        help="""What tells this Hub's containers from another Hub's on the same Engine; written into their
        labels.

        Default: derived from the Hub's cookie secret, so it lasts as long as that does. Set it where the
        cookie secret is not kept.
        """
    ).tag(config=True)

    @default("hub_id")
    def _hub_id_default(self) -> str:
        settings = getattr(getattr(self, "user", None), "settings", None) or {}
        return labels.hub_id_from(settings.get("cookie_secret") or b"")

    client_kwargs = Dict(
        help="""Which Engine: docker-py's words `base_url`, `version`, `timeout` and `tls`.

        They win over DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, which win over `tls_config`.
        """
    ).tag(config=True)

    tls_config = Dict(
        help="""TLS for the Engine: `client_cert` (certificate file, key file), `ca_cert`, `verify`."""
    ).tag(config=True)
