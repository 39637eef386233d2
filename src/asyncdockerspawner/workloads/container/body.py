"""The whole body of `POST /containers/create` for one server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.keywords.binds import bind_strings, is_volume, join_binds, path_of
from asyncdockerspawner.keywords.convert import port_key, texts
from asyncdockerspawner.keywords.create import create_config, env_strings, environment_of, healthcheck
from asyncdockerspawner.keywords.host import OPTION, host_config
from asyncdockerspawner.keywords.limits import cpu_quota
from asyncdockerspawner.keywords.merge import deep_merge
from asyncdockerspawner.keywords.mount import engine_mounts, mount_of_bind
from asyncdockerspawner.workloads.container import drift
from asyncdockerspawner.workloads.launch import LaunchInputs
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.ports import is_shared


def build_container(inputs: LaunchInputs) -> JsonObject:
    """Put the body together: computed values, the site's over them, our labels over all."""
    site = create_config(inputs.extra_create)
    config = deep_merge(_computed_config(inputs), _without(site.config, "Env"))
    config["Env"] = _joined_env(env_strings(inputs.environment), site.config.get("Env") or [])
    config["Labels"] = {**(config.get("Labels") or {}), **inputs.labels}
    host = config["HostConfig"] = _host_config(inputs, site.host)
    if published := host.get("PortBindings"):
        # The Engine publishes only what is exposed, and does not say so.
        exposed: JsonObject = {port_key(port): {} for port in published}
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **exposed}
    if network_of(config).startswith("container:"):
        # The ports are the other container's; the Engine refuses to expose any here.
        config.pop("ExposedPorts", None)
    elif config.get("MacAddress"):
        config |= _placed_mac_address(config)
    return _sent(config)


def network_of(body: JsonObject) -> str:
    """Return the network mode that a body asks for."""
    return str((body.get("HostConfig") or {}).get("NetworkMode") or "")


@dataclass(frozen=True, slots=True)
class ContainerBody:
    """The body of `POST /containers/create`."""

    document: JsonObject = field(repr=False)
    """It holds tokens."""

    @property
    def network_mode(self) -> str:
        """The network mode that it asks for."""
        return network_of(self.document)

    @property
    def environment(self) -> dict[str, str]:
        """The container's environment."""
        return environment_of(self.document.get("Env"))

    @property
    def volume_driver(self) -> str:
        """The driver of the volumes that it names; "" is the Engine's own."""
        return str((self.document.get("HostConfig") or {}).get("VolumeDriver") or "")

    @property
    def fingerprint(self) -> str:
        """A digest for each part that makes a difference to a kept container."""
        return drift.fingerprint(self.document)

    def other_account(self, observed: Observed) -> str:
        """Return whom a kept container was made to run as, where this names somebody else; else nothing."""
        return drift.other_account(self.document, observed)

    def mounted(self) -> Iterator[str]:
        """Return the sources of all binds and mounts."""
        return (source for source, _ in _mounts(self.document))

    def named_volumes(self) -> Iterator[str]:
        """Return the volumes that it names, but for those with options that count when they are made."""
        for source, mount in _mounts(self.document):
            options = (mount.get("VolumeOptions") or {}).keys() - {"NoCopy"}
            if is_volume(source) and mount.get("Type", "volume") == "volume" and not options:
                yield source

    def labelled(self, more: Mapping[str, str]) -> ContainerBody:
        """Return one that has more labels."""
        document = self.document
        return ContainerBody({**document, "Labels": {**(document.get("Labels") or {}), **more}})


def _mounts(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    host = body.get("HostConfig") or {}
    for bind in host.get("Binds") or ():
        yield str(bind).partition(":")[0], {}
    for mount in host.get("Mounts") or ():
        if mount.get("Source"):
            yield str(mount["Source"]), mount


def _computed_config(inputs: LaunchInputs) -> JsonObject:
    config: JsonObject = {
        "Image": inputs.image,
        "Cmd": None if inputs.command is None else list(inputs.command),
        "ExposedPorts": {f"{inputs.port}/tcp": {}},
    }
    if inputs.runs_as.user:
        config["User"] = inputs.runs_as.user
    if inputs.runs_as.working_dir:
        config["WorkingDir"] = inputs.runs_as.working_dir
    if inputs.healthcheck is not None:
        config["Healthcheck"] = healthcheck(inputs.healthcheck, "healthcheck")
    if inputs.mount_points:
        config["Volumes"] = {path: {} for path in inputs.mount_points}
    return config


def _placed_mac_address(config: JsonObject) -> JsonObject:
    """Return the container's address where it joins its network: from API 1.52 on, only that counts."""
    networking: JsonObject = config.get("NetworkingConfig") or {}
    network = config["HostConfig"].get("NetworkMode") or "default"
    joined = networking.get("EndpointsConfig") or {network: {}}
    if network not in joined or network in {"host", "none"}:
        return {}
    endpoint = {"MacAddress": config["MacAddress"], **(joined[network] or {})}
    return {"NetworkingConfig": {**networking, "EndpointsConfig": {**joined, network: endpoint}}}


def _host_config(inputs: LaunchInputs, under: Mapping[str, Any]) -> JsonObject:
    inputs, home = _home_apart(inputs)
    # Dictionaries of binds go into each other by source, which their written form no longer tells.
    words, binds = _merged_binds(inputs)
    site = host_config(words)
    computed = _computed_host(inputs, {**under, **site})
    host = deep_merge(deep_merge(under, computed), site)
    host["Binds"] = join_binds(under.get("Binds") or [], join_binds(binds, site.get("Binds") or []))
    if home and home["Target"].rstrip("/") not in map(path_of, host["Binds"]):
        computed["Mounts"] = [*(computed.get("Mounts") or ()), home]
    if not host["Binds"]:
        del host["Binds"]
    if inputs.private_folder and host.get("ReadonlyRootfs"):
        host["Mounts"] = _joined_mounts([_own_volume(inputs)], host.get("Mounts") or [])
    if mounts := _joined_mounts(computed.get("Mounts") or [], host.get("Mounts") or []):
        host["Mounts"] = mounts
    if inputs.runs_as.groups:
        site_groups = texts(host.get("GroupAdd") or (), f"{OPTION}.group_add")
        host["GroupAdd"] = inputs.runs_as.with_groups(site_groups)
    if host.get("Links"):
        host["Links"] = _joined_links(computed.get("Links") or [], host["Links"])
    if is_shared(str(host.get("NetworkMode") or "")):
        host.pop("PortBindings", None)
    _check_combinations(host)
    return _sent(host)


def _home_apart(inputs: LaunchInputs) -> tuple[LaunchInputs, JsonObject | None]:
    """Return the launch without the home among its binds, and that as a mount, where it has to exist."""
    home = inputs.runs_as.home
    bind = inputs.binds.get(home)
    mount = None if bind is None else mount_of_bind(home, bind, f"the home {home!r}")
    if mount is None:
        return inputs, None
    return replace(inputs, binds=_without(inputs.binds, home)), mount


def _merged_binds(inputs: LaunchInputs) -> tuple[Mapping[str, Any], list[str]]:
    binds = inputs.extra_host.get("binds")
    if not isinstance(binds, Mapping):
        return inputs.extra_host, bind_strings(inputs.binds, option="volumes")
    merged = deep_merge(inputs.binds, binds)
    return _without(inputs.extra_host, "binds"), bind_strings(merged, option=f"{OPTION}.binds")


def _computed_host(inputs: LaunchInputs, site: Mapping[str, Any]) -> JsonObject:
    host: JsonObject = {"NetworkMode": inputs.network_name or None}
    if inputs.publish_on is not None:
        host["PortBindings"] = {f"{inputs.port}/tcp": [{"HostIp": inputs.publish_on, "HostPort": ""}]}
    if inputs.mounts:
        host["Mounts"] = engine_mounts(inputs.mounts, "mounts")
    if inputs.links:
        host["Links"] = sorted(f"{name}:{alias}" if alias else name for name, alias in inputs.links.items())
    if inputs.mem_limit:
        host["Memory"] = inputs.mem_limit
    # The Engine takes only one of the two ways to limit CPU; the site's choice is the nearer one.
    if inputs.cpu_limit and not site.get("NanoCpus"):
        host |= cpu_quota(inputs.cpu_limit, site.get("CpuPeriod"), option=f"{OPTION}.cpu_period")
    return host


def _check_combinations(host: JsonObject) -> None:
    """Raise BadOption for what the Engine would refuse, in the options' words."""
    if host.get("NanoCpus") and (host.get("CpuQuota") or host.get("CpuPeriod")):
        raise BadOption(f"{OPTION} limits CPU twice: keep nano_cpus, or cpu_quota and cpu_period.")
    swap, memory = host.get("MemorySwap") or 0, host.get("Memory") or 0
    if swap > 0 and memory <= 0:
        raise BadOption(f"{OPTION}.memswap_limit needs a mem_limit: it counts memory and swap together.")
    if 0 < swap < memory:
        raise BadOption(
            f"{OPTION}.memswap_limit ({swap}) counts memory and swap together, "
            f"so it can't be less than mem_limit ({memory})."
        )
    policy = (host.get("RestartPolicy") or {}).get("Name")
    if host.get("AutoRemove") and policy not in {None, "", "no"}:
        raise BadOption(f"{OPTION} asks for auto_remove and for the restart policy {policy!r}: keep one.")


def _own_volume(inputs: LaunchInputs) -> JsonObject:
    """Return a volume without a name, which goes with the container whoever removes that."""
    return {"Type": "volume", "Target": inputs.private_folder}


def _joined_mounts(base: Iterable[JsonObject], over: Sequence[JsonObject]) -> list[JsonObject]:
    taken = {mount.get("Target") for mount in over}
    return [*(mount for mount in base if mount.get("Target") not in taken), *over]


def _joined_links(base: Iterable[str], over: Iterable[str]) -> list[str]:
    by_container = {each.partition(":")[0]: each for each in (*base, *over)}
    return [by_container[name] for name in sorted(by_container)]


def _joined_env(base: Iterable[str], over: Iterable[str]) -> list[str]:
    by_name = {each.partition("=")[0]: each for each in (*base, *over)}
    return list(by_name.values())


def _without(words: Mapping[str, Any], *names: str) -> JsonObject:
    return {word: value for word, value in words.items() if word not in names}


def _sent(document: JsonObject) -> JsonObject:
    # None unset a computed value on the way; the Engine need not hear of it.
    return {key: value for key, value in document.items() if value is not None}
