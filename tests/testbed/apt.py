"""Debian's and Ubuntu's packages: what may be installed here, and where they come from."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.testbed.steps import TestbedError, lock, run, step

UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
PREFERENCES = ("Dir::Etc::Preferences", "Dir::Etc::PreferencesParts")


@cache
def os_release() -> dict[str, str]:
    """The words of /etc/os-release."""
    path = Path("/etc/os-release")
    words = shlex.split(path.read_text(), comments=True) if path.exists() else []
    return dict(word.split("=", 1) for word in words if "=" in word)


def is_debian_like() -> bool:
    """Debian, Ubuntu and what calls itself like them."""
    names = f"{os_release().get('ID', '')} {os_release().get('ID_LIKE', '')}".split()
    return bool({"debian", "ubuntu"} & set(names)) and shutil.which("apt-get") is not None


def may_install() -> bool:
    """Whether we are allowed to install packages: root, on a system whose packages we know."""
    return os.geteuid() == 0 and is_debian_like()


@cache
def update() -> None:
    """Fetch the lists of packages, once in a process."""
    if may_install():
        with step("apt-get update"):
            _apt_get("update")


def install(*packages: str, purpose: str) -> None:
    """Install packages, saying what for; refused with the command to give where it may not."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if not may_install():
        raise TestbedError(
            f"{purpose} needs the package(s) {' '.join(packages)}. Only root on Debian or Ubuntu installs "
            f"them here by itself; on those give the command: sudo {' '.join(command)}"
        )
    update()
    with step(f"{' '.join(command)} (for {purpose})"):
        _apt_get(*command[1:])


def unpack(package: str, into: Path) -> Path:
    """Download a package and unpack it into a folder: nothing is installed."""
    if not is_debian_like():
        raise TestbedError(
            f"The package {package} is taken from Debian's or Ubuntu's archive, by apt-get and dpkg."
        )
    update()
    into.mkdir(parents=True, exist_ok=True)
    # as root apt would change to a user that may not write here, and complain
    _apt_get("-o", "APT::Sandbox::User=", "download", package, cwd=into)
    (archive,) = into.glob(f"{package}_*.deb")
    tree = into / package
    run(["dpkg", "-x", archive, tree])
    archive.unlink()
    return tree


def unpack_of_suite(suite: str, packages: Sequence[str], into: Path) -> None:
    """Unpack packages of another release of Debian, with all that they depend on: nothing is installed."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        folder = Path(name)
        for each in ("lists/partial", "archives/partial"):
            (folder / each).mkdir(parents=True)
        (folder / "status").touch()  # as if nothing were installed
        (folder / "sources.list").write_text(f"deb [signed-by={keyring}] {mirror()} {suite} main\n")
        places = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::State::extended_states": folder / "extended_states",
            "Dir::Cache::archives": folder / "archives",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            **dict.fromkeys(["Dir::Etc::SourceParts", *PREFERENCES], "/dev/null"),
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
        _apt_get(*options, "update")
        _apt_get(*options, "install", "-y", "--no-install-recommends", "--download-only", *packages)
        into.mkdir()
        for archive in sorted((folder / "archives").glob("*.deb")):
            run(["dpkg", "-x", archive, into])


def _apt_get(*words: str, cwd: Path | None = None) -> None:
    """One at a time: apt itself does not wait for another apt."""
    with lock("apt"):
        run(["apt-get", *words], cwd=cwd, env=UNATTENDED)


def codename() -> str:
    """The release of this system, as its archive calls it."""
    return os_release().get("VERSION_CODENAME", "")


def mirror() -> str:
    """The archive that apt itself is configured to use for this release."""
    fields = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    for line in run(fields, env=UNATTENDED).splitlines():
        release, _, address = line.partition(" ")
        if release == codename() and address.startswith(("http", "file:")):
            return address
    raise TestbedError(f"apt has no archive for {codename() or 'this system'} in its sources; see /etc/apt.")


def upstream_version(package: str) -> str:
    """Return the version that this release has of a package, as its own project calls it."""
    update()
    fields = ["apt-cache", "show", "--no-all-versions", package]
    found = re.search(r"^Version: (?:\d+:)?([\d.]+)", run(fields, env=UNATTENDED), re.MULTILINE)
    if found is None:
        raise TestbedError(f"apt knows no package {package}; see /etc/apt.")
    return found[1]


def proxy_environment() -> dict[str, str]:
    """The proxies of apt's configuration, for programs that fetch packages beside it."""
    found: dict[str, str] = {}
    for scheme in ("http", "https"):
        words = shlex.split(run(["apt-config", "shell", "VALUE", f"Acquire::{scheme}::Proxy"]))
        address = words[0].partition("=")[2] if words else ""
        if address and address != "DIRECT":
            found[f"{scheme}_proxy"] = address
    return found
