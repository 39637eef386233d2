"""A container is made from what create asked for and from its image."""

from __future__ import annotations

import copy
from typing import Any

from tests.fake_engine import filesystem, mounting
from tests.fake_engine.shapes import CONFIG, ENDPOINT, HOST_CONFIG, Json
from tests.fake_engine.state import Container, EngineState, Image, new_id, now


def container(engine: EngineState, name: str, image: Image, body: Json) -> Container:
    """Put a container into the books. Nobody is told yet."""
    number, host = new_id(), body.get("HostConfig") or {}
    mounts, anonymous = mounting.mounts(engine, image, host)
    made = Container(
        id=number,
        name=name,
        image=image,
        config=_config(number, image, body),
        host_config=_host_config(_resolved(engine, host)),
        created=now(),
        networks=_networks(body, host, several=engine.dialect.new),
        mounts=mounts,
        anonymous=anonymous,
        files=filesystem.copy(image.files),
    )
    engine.containers[number] = made
    return made


def _config(number: str, image: Image, body: Json) -> Json:
    own = {key: value for key, value in body.items() if key not in {"HostConfig", "NetworkingConfig"}}
    config = {
        **copy.deepcopy(CONFIG),
        "Hostname": number[:12],
        **{k: v for k, v in own.items() if v is not None},
    }
    for key in ("Cmd", "Entrypoint"):
        if isinstance(config[key], str):
            config[key] = [config[key]]
    # An entrypoint of one's own drops the image's command.
    if not config["Cmd"] and not config["Entrypoint"]:
        config["Cmd"] = image.config["Cmd"]
    config["Entrypoint"] = config["Entrypoint"] or image.config["Entrypoint"]
    config["User"] = config["User"] or image.config["User"]
    config["WorkingDir"] = config["WorkingDir"] or image.config["WorkingDir"]
    config["Env"] = _merged_env(image.config["Env"], config["Env"])
    config["Labels"] = {**(image.config["Labels"] or {}), **(config["Labels"] or {})}
    ports = {**(image.config.get("ExposedPorts") or {}), **(config.get("ExposedPorts") or {})}
    config.pop("ExposedPorts", None)
    if ports:
        config["ExposedPorts"] = ports
    return config


def _merged_env(base: list[str] | None, own: list[str] | None) -> list[str] | None:
    if base is None and own is None:
        return None
    named = {setting.partition("=")[0] for setting in own or ()}
    return [*(own or ()), *(each for each in base or () if each.partition("=")[0] not in named)]


def _resolved(engine: EngineState, host: Json) -> Json:
    """Whose network it is to be in, by id, as far as that is known yet."""
    mode = str(host.get("NetworkMode") or "")
    holder = engine.by_name(mode.removeprefix("container:")) if mode.startswith("container:") else None
    return host if holder is None else {**host, "NetworkMode": f"container:{holder.id}"}


def _host_config(host: Json) -> Json:
    config = {
        **copy.deepcopy(HOST_CONFIG),
        **{key: value for key, value in host.items() if value is not None},
    }
    config["NetworkMode"] = config["NetworkMode"] or "default"
    config["RestartPolicy"] = {**HOST_CONFIG["RestartPolicy"], **config["RestartPolicy"]}
    if not host:
        del config["Runtime"]  # the Engine looks at it at the first start
    if config["Memory"] and not config["MemorySwap"]:
        config["MemorySwap"] = 2 * config["Memory"]
    return config


def _networks(body: Json, host: Json, *, several: bool) -> dict[str, Json]:
    mode = str(host.get("NetworkMode") or "default")
    if mode.startswith("container:"):
        return {}
    name = "bridge" if mode == "default" else mode
    asked: Any = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    return {each: _endpoint(asked.get(each) or {}) for each in [name, *(asked if several else ())]}


def _endpoint(asked: Json) -> Json:
    own = {key: value for key, value in asked.items() if value is not None}
    return {**copy.deepcopy(ENDPOINT), **own}
