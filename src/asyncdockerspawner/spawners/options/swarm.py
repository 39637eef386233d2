"""Options: servers as services of a swarm."""

from __future__ import annotations

from traitlets import Bool, CaselessStrEnum, Dict, Float, HasTraits, Unicode, default

from asyncdockerspawner.spawners.options.per_spawn import FunctionOr, SecretOr

_WORDS = """docker-py's words or the Engine's own keys. Templates are rendered. May be a function of the
        spawner, `def` or `async def`."""
_FILES = """A dictionary: where → what is in the file, a text or bytes, or a dictionary
        `{"content": ..., "uid": 0, "gid": 0, "mode": 0o444}`. Names and paths are templates, contents are
        not. A content, and the whole, may be a function of the spawner, `def` or `async def`."""


class SwarmTraits(HasTraits):
    """What only a service has."""

    @default("network_name")
    def _default_network_name(self) -> str:
        return ""

    @default("pull_policy")
    def _default_pull_policy(self) -> str:
        return "skip"

    @default("healthcheck")
    def _no_healthcheck(self) -> str:
        return "none"

    @default("use_internal_hostname")
    def _use_name_in_the_overlay_network(self) -> bool:
        # Nothing but the Engine's own name service knows it.
        return bool(getattr(self, "internal_ssl", False) and getattr(self, "use_internal_ip", True))

    extra_container_spec = FunctionOr(
        Dict(),
        {},
        help=f"""More for a service's containers (`user`, `env`, `workdir`, `cap_drop`, `hosts`, …), merged
        over all else: {_WORDS}
        """,
    ).tag(config=True)

    extra_task_spec = FunctionOr(
        Dict(),
        {},
        help=f"""More for a service's tasks (`restart_policy`, `log_driver`, `networks`, …): {_WORDS}

        The restart policy is `none` unless it is set here: a server that has ended is not started again.
        """,
    ).tag(config=True)

    extra_resources_spec = FunctionOr(
        Dict(),
        {},
        help=f"""More limits and reservations: {_WORDS}

        CPUs are counted in billionths here. `generic_resources` are what nodes give out one by one, such
        as GPUs:

            c.SwarmSpawner.extra_resources_spec = {{"generic_resources": {{"gpu": 1}}}}
        """,
    ).tag(config=True)

    extra_placement_spec = FunctionOr(
        Dict(),
        {},
        help=f"""On which nodes servers may run, and how they are spread: {_WORDS}

            c.SwarmSpawner.extra_placement_spec = {{
                "constraints": ["node.role==worker"],
                "preferences": [("spread", "node.labels.rack")],
            }}
        """,
    ).tag(config=True)

    extra_endpoint_spec = FunctionOr(
        Dict(),
        {},
        help=f"""How services are reached (`mode`, `ports`): {_WORDS}

        The mode is `dnsrr`, unless it is set here or a port is published on all nodes, which needs `vip`.
        Both need IPVS in the nodes' kernels.
        """,
    ).tag(config=True)

    volume_driver = Unicode(
        "",
        help="""The driver of named volumes in `volumes` and `mounts`; a mount's own `driver_config` wins.

        Unset, it is the Engine's own, `local`: such a volume exists on one node, see `pin_to_volumes`.
        """,
    ).tag(config=True)

    volume_driver_options = FunctionOr(
        Dict(),
        {},
        help="""Options for `volume_driver`, or, without one, for the driver `local`.

        They count where a node makes a volume: one that is there already stays as it is. Templates are
        rendered. May be a function of the spawner, `def` or `async def`.

            c.SwarmSpawner.volume_driver_options = {
                "type": "nfs",
                "o": "addr=10.0.0.9,rw",
                "device": ":/export/{username}",
            }
        """,
    ).tag(config=True)

    pin_to_volumes = Bool(
        True,
        help="""Start a server on the node that has its volumes, where these are of the driver `local`
        without options and so exist there alone. While that node is away, the spawn fails and says so.

        False lets the swarm choose the node, and make a volume anew, and empty, where it is not yet.
        """,
    ).tag(config=True)

    placement_timeout = Float(
        300.0,
        min=0.0,
        help="""Seconds that a server waits for a node that can take it before its spawn fails with a
        message. They do not count towards `start_timeout`. So long, too, is waited for a server that ran and
        is to go on at another node (`on_node_loss`); then it is told as ended.
        """,
    ).tag(config=True)

    on_node_loss = CaselessStrEnum(
        ["report", "move"],
        default_value="report",
        help="""What to do with a server whose node is lost or drained: `report` its end (default), or
        `move` it, which starts it on another node.

        One that has volumes of the driver `local`, or paths of its node, stays where these are.
        """,
    ).tag(config=True)

    resolve_image = Bool(
        True,
        help="""Ask the image's registry which digest its name means before a service is created, as docker's
        command does, so that all nodes run the same. Where it does not say, each node asks for itself.
        """,
    ).tag(config=True)

    resolve_timeout = Float(
        5.0, min=0.0, help="""Seconds that a registry is given to answer what `resolve_image` asks."""
    ).tag(config=True)

    secrets = SecretOr(
        Dict(),
        {},
        help=f"""Files that a server finds in memory: made in the swarm for each spawn, and removed with it.
        They are at absolute paths inside the container, or, by a name, below `/run/secrets`.

        {_FILES}

            async def key(spawner):
                return (await spawner.user.get_auth_state())["key"]

            c.SwarmSpawner.secrets = {{"key.pem": {{"content": key, "uid": 1000, "mode": 0o400}}}}
        """,
    ).tag(config=True)

    configs = SecretOr(
        Dict(),
        {},
        help=f"""Files that a server finds, as `secrets`, but on the node's disk, and shown to whoever may
        ask the Engine. By a name, they are below `/`.

        {_FILES}
        """,
    ).tag(config=True)

    volume_removal_image = Unicode(
        "",
        help="""An image with the docker command, by which volumes on other nodes are removed for
        `delete_volumes_on_user_delete`: a short service on that node gets its Engine's socket. So it has to
        be an image that no user can choose or push to.

        Unset, such volumes stay, and the log has the command that removes each.
        """,
    ).tag(config=True)
