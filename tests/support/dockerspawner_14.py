"""What DockerSpawner 14 says of its options: a program for the environment in which it is installed.

`PYTHON -m tests.support.dockerspawner_14`, from the project's folder, prints one JSON document. The functions
take any spawner class, so that the tests ask ours the same questions.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import logging
import os
from types import SimpleNamespace
from typing import Any

from tornado import web
from traitlets import EventHandler, HasTraits
from traitlets.config import Config

from tests.support.dockerspawner_14_services import SERVICES
from tests.support.dockerspawner_14_system_user import starts

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


def make(
    cls: Any, options: Any = None, name: str = "", username: str = "alice", **traits: Any
) -> tuple[Any, list[str]]:
    """Make a spawner as the Hub does, with options from the configuration; gives it and what it logs."""
    config = Config()
    config[cls.__name__].update(Config(options or {}))
    messages = Messages()
    log = logging.getLogger(f"spawner-{next(_numbers)}")
    log.addHandler(messages)
    user = SimpleNamespace(name=username, settings={}, url="/user/alice/")
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


def members_of(cls: Any) -> set[str]:
    """Give what a spawner class adds to JupyterHub's own that is neither an option nor Python's own."""
    added: set[str] = set()
    for each in cls.__mro__:
        if each.__module__.partition(".")[0] not in {"jupyterhub", "traitlets", "builtins"}:
            added |= vars(each).keys() - vars(HasTraits).keys()
    return {name for name in added if not name.startswith("__") and name not in cls.class_traits()}


def signature_of(cls: Any, name: str) -> Any:
    """Say what a member is: its kind, and the parameters where it is called; else its value."""
    member = inspect.getattr_static(cls, name, None)
    if isinstance(member, property):
        return "property"
    kind = "method"
    if isinstance(member, staticmethod):
        kind, member = "static method", member.__func__
    if isinstance(member, EventHandler):
        member = member.func
    if not callable(member):
        return shown(member)
    parameters = inspect.signature(member).parameters.values()
    written = ", ".join(str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters)
    return f"{'coroutine ' if inspect.iscoroutinefunction(member) else ''}{kind} ({written})"


STORAGE = {
    "volumes": {"v-{username}": "/v", "/host/{raw_username}": {"bind": "/h", "mode": "z"}},
    "read_only_volumes": {"r": "/r", "s": {"bind": "/s", "propagation": "rslave"}},
    "mounts": [
        {"source": "m-{username}", "target": "/m", "type": "volume", "read_only": True},
        {"source": "/x/{servername}", "target": "/x", "type": "bind", "propagation": "rslave"},
    ],
}
NETWORKS = {"Networks": {"bridge": {"IPAddress": "172.17.0.5"}}}
ANSWERS: dict[str, tuple[dict[str, Any], Any]] = {
    "_escape": ({}, lambda s: [s._escape(text) for text in ("Al-ice@x.org", "jos\xe9", "")]),
    "_legacy_escape": ({}, lambda s: [s._legacy_escape(text) for text in ("Al-ice@x.org", "jos\xe9", "")]),
    "_eval_if_callable": ({}, lambda s: [s._eval_if_callable(x) for x in (5, lambda s: s.user.name, None)]),
    "_get_allowed_images": (
        {"allowed_images": ["a:1", "b:1"]},
        lambda s: s._get_allowed_images(),
    ),
    "_get_allowed_images of a function": (
        {"allowed_images": lambda s: [s.user.name]},
        lambda s: s._get_allowed_images(),
    ),
    "_get_allowed_images of any": ({"allowed_images": "*"}, lambda s: s._get_allowed_images()),
    "_render_templates": (
        {},
        lambda s: s._render_templates({"{username}": ["{prefix}", ("{x}", "{"), 5, {"a": "{servername}"}]}),
    ),
    "_render_templates with a namespace": ({}, lambda s: s._render_templates("{a}{username}", {"a": "b"})),
    "_render_templates with all of it": ({}, lambda s: s._render_templates("{a}", ns={"a": "b"})),
    "_validate_allowed_images": ({}, lambda s: s._validate_allowed_images({"value": ["a"]})),
    "_volumes_to_binds": (
        STORAGE,
        lambda s: s._volumes_to_binds(s.volumes, {"/there": {"bind": "/t", "mode": "rw"}}),
    ),
    "_volumes_to_binds with a mode": ({}, lambda s: s._volumes_to_binds({"/a": "/b"}, {}, mode="ro")),
    "check_allowed": ({"allowed_images": {"A": "a:1"}}, lambda s: asyncio.run(s.check_allowed("A"))),
    "check_allowed of another": ({"allowed_images": ["a:1"]}, lambda s: _status(s.check_allowed("b:1"))),
    "check_allowed where nothing may be chosen": ({}, lambda s: _status(s.check_allowed("b:1"))),
    "container_id": ({}, lambda s: [s.container_id, _set(s, "object_id", "abc").container_id]),
    "container_name": ({}, lambda s: s.container_name),
    "escaped_name": ({}, lambda s: s.escaped_name),
    "format_string": ({}, lambda s: s.format_string("/home/{username}")),
    "get_command": ({"cmd": ["start"], "args": ["--x"]}, lambda s: asyncio.run(s.get_command())),
    "get_network_ip": ({}, lambda s: s.get_network_ip(NETWORKS)),
    "internal_hostname": ({}, lambda s: s.internal_hostname),
    "mount_binds": (STORAGE, lambda s: s.mount_binds),
    "object_id": ({}, lambda s: [s.object_id, bool(_set(s, "object_id", None).object_id)]),
    "object_name": ({"prefix": "hub"}, lambda s: [s.object_name, s._object_name_default()]),
    "template_namespace": ({}, lambda s: s.template_namespace()),
    "tls_client": ({"tls_cert": "x.pem", "tls_key": "x.pem"}, lambda s: s.tls_client),
    "tls_client without": ({}, lambda s: s.tls_client),
    "volume_binds": (STORAGE, lambda s: s.volume_binds),
    "volume_mount_points": (STORAGE, lambda s: s.volume_mount_points),
    "will_resume": ({"remove": True}, lambda s: [s.will_resume, _set(s, "remove", False).will_resume]),
}
"""What is asked of members that need no Engine: options, and the question."""


def _status(refused: Any) -> int:
    try:
        asyncio.run(refused)
    except web.HTTPError as error:
        return error.status_code
    return 200


def _set(spawner: Any, name: str, value: Any) -> Any:
    setattr(spawner, name, value)
    return spawner


def answers_of(cls: Any) -> dict[str, Any]:
    """Give the answers to `ANSWERS`, of a named server of a user whose name needs escaping."""
    found = {}
    for label, (options, question) in ANSWERS.items():
        spawner, _ = make(cls, {"image": "image:1", **options}, name="My Server", username="Al@x")
        found[label] = json.loads(json.dumps(question(spawner)))
    return found


def bare(cls: Any) -> Any:
    """Return a class whose spawners need no Hub to say what they would create."""
    return type(cls.__name__, (cls,), {"get_env": lambda _: {"A": "1"}})


def service_of(cls: Any, options: dict[str, Any]) -> Any:
    """Return the body of the create that these options come to, without its name."""
    sent: dict[str, Any] = {}

    async def docker(method: str, **words: Any) -> Any:
        if method == "create_service":
            sent.update(words)
        return [{}]

    spawner, _ = make(bare(cls), {"cmd": ["start"], "image": "image:1", **options})
    spawner.docker = docker
    asyncio.run(spawner.create_object())
    words = {"task_template": "TaskTemplate", "endpoint_spec": "EndpointSpec", "labels": "Labels"}
    return {key: sent[word] for word, key in words.items() if word in sent}


def swarm() -> dict[str, Any]:
    """Return the answers of DockerSpawner 14's SwarmSpawner."""
    from dockerspawner import SwarmSpawner  # noqa: PLC0415 - it is only in its own environment

    spawner, _ = make(SwarmSpawner)
    own = [name for name, each in SwarmSpawner.class_traits().items() if each.this_class is SwarmSpawner]
    growing = [name for name in own if isinstance(getattr(spawner, name), dict)]
    members = sorted(set(vars(SwarmSpawner)) & members_of(SwarmSpawner))
    return {
        "traits": traits_of(SwarmSpawner),
        "own": own,
        "accepted": {name: accepted_by(SwarmSpawner, name) for name in own},
        "lazily": {name: lazily(SwarmSpawner, name) for name in growing},
        "members": {name: signature_of(SwarmSpawner, name) for name in members},
        "services": {label: service_of(SwarmSpawner, options) for label, options in SERVICES.items()},
    }


def system_user() -> dict[str, Any]:
    """Return the answers of DockerSpawner 14's SystemUserSpawner."""
    from dockerspawner import SystemUserSpawner  # noqa: PLC0415 - it is only in its own environment

    own = [
        name
        for name, each in SystemUserSpawner.class_traits().items()
        if each.this_class is SystemUserSpawner
    ]
    configured = [name for name in own if name in SystemUserSpawner.class_traits(config=True)]
    members = sorted(set(vars(SystemUserSpawner)) & members_of(SystemUserSpawner))
    return {
        "traits": traits_of(SystemUserSpawner),
        "own": own,
        "accepted": {name: accepted_by(SystemUserSpawner, name) for name in configured},
        "members": {name: signature_of(SystemUserSpawner, name) for name in members},
        "starts": starts(make),
    }


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
        "members": {name: signature_of(cls, name) for name in sorted(members_of(cls))},
        "answers": answers_of(cls),
        "without_effect": {name: make(cls, {name: value})[1] for name, value in WITHOUT_EFFECT.items()},
        "swarm": swarm(),
        "system_user": system_user(),
    }
    print(json.dumps(document))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
