"""TLS files of an Engine that listens on TCP and of its clients, in docker's own layout."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from certipy import Certipy


@dataclass(frozen=True)
class Certificates:
    """One authority with a server's and a client's certificate."""

    server: Path
    client: Path
    """Folders with `ca.pem`, `cert.pem` and `key.pem` each; the client's is what DOCKER_CERT_PATH names."""

    @property
    def ca(self) -> str:
        """The authority that both sides believe."""
        return str(self.client / "ca.pem")

    @property
    def pair(self) -> tuple[str, str]:
        """The client's certificate and its key."""
        return str(self.client / "cert.pem"), str(self.client / "key.pem")


def make_certificates(folder: Path) -> Certificates:
    """Make an authority of one's own; the server is 127.0.0.1 and nothing else."""
    maker = Certipy(store_dir=str(folder / "store"))
    maker.create_ca("ca")
    made = Certificates(folder / "server", folder / "client")
    for each in (made.server, made.client):
        files = maker.create_signed_pair(each.name, "ca", alt_names=["IP:127.0.0.1"])["files"]
        each.mkdir()
        for kind in ("ca", "cert", "key"):
            shutil.copyfile(files[kind], each / f"{kind}.pem")
    return made
