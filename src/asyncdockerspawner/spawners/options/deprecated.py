"""Options of earlier DockerSpawners under their former names."""

from __future__ import annotations

from typing import Any as AnyValue

from traitlets import Any, Bool, HasTraits, Int, Unicode, observe

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.lifecycle.protocols import Log

ALIASES = {
    "container_ip": ("host_ip", "0.9.*"),
    "container_port": ("port", "0.9.*"),
    "container_image": ("image", "0.9.*"),
    "container_prefix": ("prefix", "0.10.0"),
    "container_name_template": ("name_template", "0.10.0*"),
    "remove_containers": ("remove", "0.10.0"),
    "image_whitelist": ("allowed_images", "12.0"),
}
"""Former name → present name and the version that changed it."""

WITHOUT_EFFECT = {
    **dict.fromkeys(
        ("tls", "tls_verify", "tls_ca", "tls_cert", "tls_key", "tls_assert_hostname"),
        "use `tls_config`, or DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
    ),
    **dict.fromkeys(
        ("certs_volume_name", "move_certs_image"),
        "with `internal_ssl`, certificates are put into each server's own container",
    ),
    "hub_ip_connect": "use `c.JupyterHub.hub_connect_ip`",
    "use_docker_client_env": "the environment of docker is always read",
}
"""Former name → what serves its purpose."""

REMOVED = {"extra_start_kwargs": "extra_host_config"}


class DeprecatedTraits(HasTraits):
    """Each says once what it is called today, and hands its value over."""

    log: Log

    container_ip = Unicode("127.0.0.1", help="Former name of `host_ip`.").tag(config=True)
    container_port = Int(8888, min=1, max=65535, help="Former name of `port`.").tag(config=True)
    container_image = Unicode(help="Former name of `image`.").tag(config=True)
    container_prefix = Unicode(help="Former name of `prefix`.").tag(config=True)
    container_name_template = Unicode(help="Former name of `name_template`.").tag(config=True)
    remove_containers = Bool(False, help="Former name of `remove`.").tag(config=True)
    image_whitelist = Any(help="Former name of `allowed_images`.").tag(config=True)

    tls = Any(help="Without effect: see `tls_config`.").tag(config=True)
    tls_verify = Any(help="Without effect: see `tls_config`.").tag(config=True)
    tls_ca = Any(help="Without effect: see `tls_config`.").tag(config=True)
    tls_cert = Any(help="Without effect: see `tls_config`.").tag(config=True)
    tls_key = Any(help="Without effect: see `tls_config`.").tag(config=True)
    tls_assert_hostname = Any(help="Without effect: see `tls_config`.").tag(config=True)
    certs_volume_name = Unicode(
        "{prefix}ssl-{username}",
        help="""Without effect: with `internal_ssl`, each server has its certificates in its own container.

        In DockerSpawner, one volume has those of all servers of a user.
        """,
    ).tag(config=True)
    move_certs_image = Unicode(
        "busybox:1.30.1",
        help="""Without effect: with `internal_ssl`, no other container brings a server its certificates.

        In DockerSpawner, the image of the one that writes them into a volume.
        """,
    ).tag(config=True)
    hub_ip_connect = Unicode(help="Without effect: see `JupyterHub.hub_connect_ip`.").tag(config=True)
    use_docker_client_env = Bool(True, help="Without effect: docker's environment is always read.").tag(
        config=True
    )
    extra_start_kwargs = Any(help="Has gone: see `extra_host_config`.").tag(config=True)

    _deprecated_aliases = ALIASES

    @property
    def tls_client(self) -> tuple[AnyValue, AnyValue] | None:
        """The former options for a client's certificate, where both are set."""
        return (self.tls_cert, self.tls_key) if self.tls_cert and self.tls_key else None

    @observe(*ALIASES)
    def _deprecated_trait(self, change: dict[str, AnyValue]) -> None:
        old, value = change["name"], change["new"]
        new, version = ALIASES[old]
        # A subclass may have handed it over already.
        if getattr(self, new) == value:
            return
        owner = type(self).__name__
        self.log.warning(
            f"{owner}.{old} is deprecated in DockerSpawner {version}, use {owner}.{new} instead"  # noqa: G004
        )
        setattr(self, new, value)

    @observe(*WITHOUT_EFFECT)
    def _without_effect_changed(self, change: dict[str, AnyValue]) -> None:
        old = change["name"]
        self.log.warning("%s.%s has no effect: %s", type(self).__name__, old, WITHOUT_EFFECT[old])

    @observe(*REMOVED)
    def _removed_changed(self, change: dict[str, AnyValue]) -> None:
        old = change["name"]
        raise BadOption(f"`{old}` has gone: use `{REMOVED[old]}`.")
