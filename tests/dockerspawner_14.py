"""What DockerSpawner 14 says of its options: a program for the environment in which it is installed.

`PYTHON dockerspawner_14.py` prints one JSON document. The functions take any spawner class, so that the
tests ask ours the same questions.
"""

from __future__ import annotations

import inspect
import itertools
import json
import logging
import os
from types import SimpleNamespace
from typing import Any

from traitlets.config import Config

ALIASES: dict[str, tuple[Any, Any]] = {
    "container_ip": ("10.0.0.1", "10.0.0.2"),
    "container_port": (9999, 9998),
    "container_image": ("image:1", "image:2"),
    "container_prefix": ("hub1", "hub2"),
    "container_name_template": ("{prefix}_{username}", "{prefix}.{username}"),
    "remove_containers": (True, False),
    "image_whitelist": ({"Small": "small:1"}, {"Big": "big:1"}),
}
"""Former name → two values for it, of which the first is not the default of the present one."""

WITHOUT_EFFECT: dict[str, Any] = {
    "hub_ip_connect": "10.0.0.1",
    "tls": True,
    "tls_assert_hostname": True,
    "tls_ca": "ca.pem",
    "tls_cert": "cert.pem",
    "tls_key": "key.pem",
    "tls_verify": True,
}

COMPUTED: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    *(("use_internal_ip", {"network_name": name}, {}, {}) for name in ("bridge", "host", "none", "", "hub")),
    *(("use_internal_hostname", {}, {"internal_ssl": on}, {}) for on in (True, False)),
    *(
        ("host_ip", {}, {}, {"DOCKER_HOST": url})
        for url in ("tcp://10.0.0.5:2376", "tcp://[::1]:1", "unix:///run/docker.sock", "")
    ),
    ("name_template", {"name_template": "{username}"}, {}, {}),
]
"""Option, and what its default depends on: configuration, traits and environment."""


def function(spawner: Any) -> None:
    """Stand for a site's function; None is a value of every option that takes functions."""
    del spawner


async def coroutine_function(spawner: Any) -> None:
    """Stand for a site's `async def`."""
    del spawner


SAMPLES: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "a whole number": 9000,
    "a number with a point": 1.5,
    "a text": "text",
    "a number as text": "9000",
    "a size": "2G",
    "a star": "*",
    "a policy": "ALWAYS",
    "a scheme": "legacy",
    "no text": "",
    "bytes": b"text",
    "a list": ["a", "b"],
    "no list": [],
    "a list of dictionaries": [{"target": "/t", "source": "s"}],
    "a tuple": ("a",),
    "a dictionary": {"a": "b"},
    "no dictionary": {},
    "a nested dictionary": {"a": {"bind": "/a", "mode": "ro"}},
    "a function": function,
    "an async function": coroutine_function,
}
"""What a site might set an option to, by its name in the tests' output."""


_numbers = itertools.count()


class Messages(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname}: {record.getMessage()}")


def make(cls: Any, options: Any = None, name: str = "", **traits: Any) -> tuple[Any, list[str]]:
    """Make a spawner as the Hub does, with options from the configuration; gives it and what it logs."""
    config = Config()
    config[cls.__name__].update(Config(options or {}))
    messages = Messages()
    log = logging.getLogger(f"spawner-{next(_numbers)}")
    log.addHandler(messages)
    user = SimpleNamespace(name="alice", settings={}, url="/user/alice/")
    orm_spawner = SimpleNamespace(name=name, state=None, user_options=None, server=None)
    made = cls(config=config, log=log, user=user, orm_spawner=orm_spawner, **traits)
    return made, messages.lines


def shown(value: Any) -> Any:
    """Write a value so that it can be compared over JSON."""
    if inspect.iscoroutine(value):
        value.close()
        return "a coroutine"
    if callable(value):
        return "a function"
    return repr(dict(value) if isinstance(value, dict) else value)


def traits_of(cls: Any) -> dict[str, dict[str, Any]]:
    """Give each option's default and help, and whether it is JupyterHub's own."""
    spawner, _ = make(cls)
    return {
        name: {
            "default": shown(getattr(spawner, name)),
            "named": shown(getattr(make(cls, name="my server")[0], name)),
            "help": trait.help,
            "inherited": trait.this_class.__module__.startswith("jupyterhub."),
        }
        for name, trait in cls.class_traits(config=True).items()
    }


def accepted_by(cls: Any, name: str) -> dict[str, Any]:
    """Give for each sample that an option accepts what is read from it then."""
    found = {}
    for label, sample in SAMPLES.items():
        spawner, _ = make(cls)
        try:
            setattr(spawner, name, sample)
            found[label] = shown(getattr(spawner, name))
        except Exception:  # noqa: BLE001, S112 - traitlets' errors, and what a validator stumbles over
            continue
    return found


def lazily(cls: Any, name: str) -> Any:
    """Give what an option becomes by additions in the configuration, made before the class is known."""
    config = Config()
    section = config[cls.__name__]
    if isinstance(getattr(make(cls)[0], name), dict):
        getattr(section, name).update({"a": "b"})
        getattr(section, name).update({"c": "d"})
    else:
        getattr(section, name).append({"a": "b"})
        getattr(section, name).extend([{"c": "d"}])
        getattr(section, name).prepend([{"e": "f"}])
    return shown(getattr(make(cls, section)[0], name))


def computed_by(cls: Any) -> list[str]:
    """Give the defaults of `COMPUTED`."""
    found = []
    for name, options, traits, environment in COMPUTED:
        kept = os.environ.copy()
        os.environ.update(environment)
        try:
            found.append(shown(getattr(make(cls, options, **traits)[0], name)))
        finally:
            os.environ.clear()
            os.environ.update(kept)
    return found


def told_by(cls: Any, name: str, new: str) -> dict[str, Any]:
    """Give what setting a former name logs, and what the present one is then, in every way of setting it."""
    value, other = ALIASES[name]
    spawner, later = make(cls)
    setattr(spawner, name, value)
    setattr(spawner, name, value)
    made = {
        "configured": make(cls, {name: value}),
        "with the same": make(cls, {name: value, new: value}),
        "with another": make(cls, {name: value, new: other}),
        "later": (spawner, later),
    }
    return {way: [shown(getattr(each, new)), lines] for way, (each, lines) in made.items()}


def main() -> None:
    """Print the answers of DockerSpawner 14."""
    import dockerspawner  # noqa: PLC0415 - it is only in its own environment

    cls = dockerspawner.DockerSpawner
    spawner, _ = make(cls)
    traits = traits_of(cls)
    own = [name for name, trait in traits.items() if not trait["inherited"]]
    growing = [name for name in own if isinstance(getattr(spawner, name), (dict, list))]
    document = {
        "version": dockerspawner.__version__,
        "traits": traits,
        "accepted": {name: accepted_by(cls, name) for name in own},
        "lazily": {name: lazily(cls, name) for name in growing},
        "aliases": {
            name: [new, told_by(cls, name, new)] for name, (new, _) in cls._deprecated_aliases.items()
        },
        "computed": computed_by(cls),
        "without_effect": {name: make(cls, {name: value})[1] for name, value in WITHOUT_EFFECT.items()},
    }
    print(json.dumps(document))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
