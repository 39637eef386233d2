"""What Engines of today answer otherwise than 20.10, as which every other room speaks.

28.5 is recorded. Of 29, what its API leaves out is played, as documented:
https://docs.docker.com/reference/api/engine/version-history/#v152-api-changes
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fake_engine.answers import Refused
from tests.fake_engine.shapes import Json

Version = tuple[int, int]
_REFUSALS: tuple[tuple[str, int | None, str], ...] = (
    # bodies and queries that can't be decoded are the client's fault
    (r"json: cannot unmarshal object into Go struct field \S+Cmd of type string", 400,
     "invalid JSON: json: cannot unmarshal object into Go value of type string"),
    (r"(json: .* Go struct field )(?:ContainerConfigWrapper|HostConfig)(\..*)", 400, r"invalid JSON: \1\2"),
    (r"EOF", 400, "invalid JSON: got EOF while reading request body"),
    (r"unexpected EOF", 400, "invalid JSON: unexpected EOF"),
    (r"invalid character .* looking for beginning of value", 400, "invalid filter"),
    (r"(strconv\.Atoi: parsing \"(.*)\": invalid syntax)", 400, r"invalid filter 'exited=\2': \1"),
    (r"Content-Type specified (\(.*\)) must be (.*)", None,
     r"unsupported Content-Type header \1: must be \2"),
    (r"Config cannot be empty(.*)", None, r"config cannot be empty\1"),
    (r"No command specified", None, "no command specified"),
    (r"Unknown runtime specified (.*)", None, r"unknown or invalid runtime name: \1"),
    (r"Invalid filter '(status)=(.*)'", None,
     r"invalid filter '\1=\2': invalid value for state (\2): "
     "must be one of created, running, paused, restarting, removing, exited, dead"),
    (r"Unrecognised filter value for health: (.*)", None,
     r"invalid filter 'health=\1': invalid value for health (\1): "
     "must be one of none, starting, healthy, unhealthy"),
    (r"Invalid filter (.*)", None, r"invalid filter \1"),
    (r"You cannot remove a (\w+) container (\w+)\. Stop.*", None,
     r'cannot remove container "\2": container is \1: stop the container before removing or force remove'),
    (r"Cannot kill container: (.*): Container (.* is not running)", None,
     r"cannot kill container: \1: container \2"),
    (r"Cannot kill container: (.*)", None, r"cannot kill container: \1"),
    (r"Invalid signal: (.*)", None, r"cannot kill container: {about}: invalid signal: \1"),
    (r"no such image: \S+: (.*)", None, r"\1"),
    (r"dockerfile parse error line (.*)", None, r"dockerfile parse error on line \1"),
    (r"invalid name: ", 400, "invalid name: name is empty"),
)  # fmt: skip
"""The whole of 20.10's words, the new status where there is another, and the new words."""
_LOWER_CASE = "repository name must be lowercase"
_STARTS: tuple[tuple[str, str], ...] = (
    (r"(failed to create shim task: .* process: )(exec: .*): unknown",
     r"failed to create task for container: \1error during container init: \2"),
    (r"(driver failed .*: )Error starting userland proxy: listen tcp4 (.*): bind: (.*)",
     r"failed to set up container networking: \1failed to bind host port for \2:172.17.0.3:8888/tcp: \3"),
    (r"cannot join network of a non running .*",
     r"cannot join network namespace of a non running container: container {about}"),
    (r"((?:driver failed|network) .*)", r"failed to set up container networking: \1"),
)  # fmt: skip
"""The same, of starts that fail: they are kept in `State.Error` too."""
_NOT_IN_INFO = ("BridgeNfIp6tables", "BridgeNfIptables", "KernelMemory")
_NOT_IN_IMAGES = (
    "AttachStderr", "AttachStdin", "AttachStdout", "Domainname", "Hostname", "Image", "OpenStdin",
    "StdinOnce", "Tty",
)  # fmt: skip
_KEPT_OF_SETTINGS = ("SandboxID", "SandboxKey", "Ports", "Networks")


@dataclass(frozen=True)
class Dialect:
    """One Engine's way to speak. The methods change what 20.10 would answer."""

    version: str
    api: Version
    oldest_api: Version

    @property
    def new(self) -> bool:
        """Whether it is not 20.10."""
        return self.api > (1, 41)

    @property
    def _slim(self) -> bool:
        return self.api >= (1, 52)

    def refused(self, refused: Refused) -> Refused:
        """Say no."""
        if not self.new:
            return refused
        status, message = refused.status, refused.message
        for pattern, new_status, words in _REFUSALS:
            found = re.fullmatch(pattern, message)
            if found:
                status, message = new_status or status, found.expand(words)
                break
        if _LOWER_CASE in message:
            message = message.replace("name must", f"name ({_familiar(refused.about)}) must")
        return Refused(status, message.replace("{about}", refused.about))

    def start_failed(self, refused: Refused) -> Refused:
        """Say why a start failed."""
        if self.new:
            if refused.message.startswith("No such container: "):
                return Refused(500, f"joining network namespace of container: {refused.message}")
            for pattern, words in _STARTS:
                found = re.fullmatch(pattern, refused.message)
                if found:
                    told = found.expand(words).replace("{about}", refused.about)
                    return Refused(refused.status, told)
        return refused

    def version_document(self, document: Json) -> Json:
        """`GET /version`."""
        versions = {
            "Version": self.version,
            "ApiVersion": written(self.api),
            "MinAPIVersion": written(self.oldest_api),
        }
        engine = document["Components"][0]
        details = {**engine["Details"], **{key: versions[key] for key in ("ApiVersion", "MinAPIVersion")}}
        first = {**engine, "Version": self.version, "Details": details}
        return {**document, **versions, "Components": [first, *document["Components"][1:]]}

    def info(self, document: Json) -> Json:
        """`GET /info`."""
        if not self.new:
            return document
        left_out = {*_NOT_IN_INFO, *(["KernelMemoryTCP"] if self._slim else [])}
        kept = {key: value for key, value in document.items() if key not in left_out}
        commits = {key: {"ID": kept[key]["ID"]} for key in ("ContainerdCommit", "RuncCommit", "InitCommit")}
        return {
            **kept,
            **commits,
            "ServerVersion": self.version,
            "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
            "Containerd": {
                "Address": "/run/containerd/containerd.sock",
                "Namespaces": {"Containers": "moby", "Plugins": "plugins.moby"},
            },
            "FirewallBackend": {"Driver": "iptables"},
        }

    def container(self, document: Json) -> Json:
        """`GET /containers/REF/json`."""
        if not self.new:
            return document
        host = {key: value for key, value in document["HostConfig"].items() if "KernelMemory" not in key}
        host = {"Runtime": "runc", **host, "NetworkMode": _network_mode(host)}
        settings = {**document["NetworkSettings"], "Networks": self._endpoints(document)}
        config = document["Config"]
        if self._slim:
            settings = {key: settings[key] for key in _KEPT_OF_SETTINGS}
            config = {key: value for key, value in config.items() if key != "OnBuild" or value}
        return {**document, "HostConfig": host, "NetworkSettings": settings, "Config": config}

    def container_summary(self, document: Json) -> Json:
        """One of `GET /containers/json`."""
        if not self.new:
            return document
        host = {"NetworkMode": _network_mode(document["HostConfig"])}
        return {**document, "HostConfig": host, "NetworkSettings": {"Networks": self._endpoints(document)}}

    def _endpoints(self, document: Json) -> Json:
        short, name = document["Id"][:12], (document.get("Name") or document["Names"][0]).lstrip("/")
        listed = "Names" in document
        found = {}
        for network, endpoint in document["NetworkSettings"]["Networks"].items():
            names = [name, short] if short in (endpoint["Aliases"] or ()) and not listed else None
            own = [alias for alias in endpoint["Aliases"] or () if alias != short] or None
            found[network] = {**endpoint, "Aliases": own, "DNSNames": names, "GwPriority": 0}
        return found

    def waited(self, document: Json) -> Json:
        """`POST /containers/REF/wait`."""
        return {key: value for key, value in document.items() if not self.new or value is not None}

    def image(self, document: Json) -> Json:
        """`GET /images/REF/json`."""
        if not self.new:
            return document
        left_out = {"Container", "ContainerConfig", "VirtualSize"}
        kept = {key: value for key, value in document.items() if key not in left_out}
        config = {key: value for key, value in kept["Config"].items() if key not in _NOT_IN_IMAGES}
        if self._slim:
            config = {key: value for key, value in config.items() if value}
            unset = {"Parent", "Comment", "DockerVersion", "Author"}
            kept = {key: value for key, value in kept.items() if value or key not in unset}
        return {**kept, "Config": config}

    def image_summary(self, document: Json, containers: int) -> Json:
        """One of `GET /images/json`."""
        if not self.new:
            return document
        kept = {key: value for key, value in document.items() if key != "VirtualSize"}
        lists = {
            key: [each for each in kept[key] or () if "<none>" not in each]
            for key in ("RepoTags", "RepoDigests")
        }
        return {**kept, **lists, "Containers": containers}

    def network(self, document: Json) -> Json:
        """`GET /networks/REF`."""
        return {**document, "EnableIPv4": True} if self.new else document

    def event(self, event: Json) -> Json:
        """One of `GET /events`."""
        return {
            key: value for key, value in event.items() if not (self._slim and key in {"status", "id", "from"})
        }


ENGINES = {
    "20.10": Dialect("20.10.24+dfsg1", (1, 41), (1, 12)),
    "28.5": Dialect("28.5.2+dfsg4", (1, 51), (1, 24)),
    "29": Dialect("29.0.0", (1, 52), (1, 44)),
}
TESTED = ("20.10", "28.5")
"""Those whose answers are compared with a real one's."""
NEWEST = "28.5"


def nearest(version: str) -> str:
    """Name the one of these that a real Engine's answers are like."""
    return "20.10" if int(version.partition(".")[0]) < 24 else NEWEST


def written(version: Version) -> str:
    """Write an API version."""
    return ".".join(map(str, version))


def _familiar(reference: str) -> str:
    name = reference.rpartition(":")[0] or reference
    return name if "/" in name else f"library/{name}"


def _network_mode(host: Json) -> str:
    mode = str(host["NetworkMode"])
    return "bridge" if mode == "default" else mode
