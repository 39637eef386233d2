"""What a Hub with `internal_ssl` has: authorities, its own certificate, and the settings that name them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import jupyterhub
from certipy import Certipy
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from tornado.httpclient import AsyncHTTPClient

AUTHORITIES = {
    "hub-ca": ["hub-ca", "notebooks-ca"],
    "notebooks-ca": ["hub-ca"],
}
"""Authority → those that whoever it has signed for trusts; a part of what the Hub has."""


def hub_settings(folder: Path) -> dict[str, Any]:
    """Make what the Hub makes at its start. Source: `jupyterhub.app.JupyterHub.init_internal_ssl`."""
    maker = Certipy(store_dir=str(folder))
    bundles = maker.trust_from_graph(AUTHORITIES)
    files = maker.create_signed_pair("hub-internal", "hub-ca", alt_names=["IP:127.0.0.1"])["files"]
    if jupyterhub.version_info[0] < 6:
        # This one takes what it shows to servers from there.
        of_the_hub = {"client_key": files["key"], "client_cert": files["cert"], "ca_certs": bundles["hub-ca"]}
        AsyncHTTPClient.configure(None, defaults=of_the_hub)
    return {
        "internal_ssl": True,
        "internal_certs_location": str(folder),
        "internal_trust_bundles": bundles,
        "internal_ssl_key": files["key"],
        "internal_ssl_cert": files["cert"],
        "internal_ssl_ca": bundles["hub-ca"],
    }


def pair_of(
    settings: dict[str, Any], name: str, *alt_names: str, authority: str = "notebooks-ca"
) -> tuple[str, str]:
    """Make one more certificate; gives its file and its key's."""
    maker = Certipy(store_dir=settings["internal_certs_location"])
    files = maker.create_signed_pair(name, authority, alt_names=alt_names or ["IP:127.0.0.1"])["files"]
    return files["cert"], files["key"]


def server_context(pair: tuple[str, str], trusted: str) -> ssl.SSLContext:
    """Return what a single-user server listens with: it wants a certificate of whoever asks."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*pair)
    return context


def alternative_names(certificate: bytes) -> set[str]:
    """Read the names of a certificate."""
    found: Any = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_oid(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    )
    names = found.value.get_values_for_type(x509.DNSName)
    return {*names, *map(str, found.value.get_values_for_type(x509.IPAddress))}
