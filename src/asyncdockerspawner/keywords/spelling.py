"""Refuse an unknown keyword with the known one that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from asyncdockerspawner.errors import BadOption

_ELSEWHERE = {
    "addhost": "extra_hosts",
    "cgroupnsmode": "cgroupns",
    "cpus": "nano_cpus",
    "cpuset": "cpuset_cpus",
    "dnsoption": "dns_opt",
    "dnsopts": "dns_opt",
    "env": "environment",
    "expose": "ports",
    "gpus": "device_requests",
    "ipc": "ipc_mode",
    "logdriver": "log_config",
    "logging": "log_config",
    "logopt": "log_config",
    "memory": "mem_limit",
    "memoryswap": "memswap_limit",
    "memoryswappiness": "mem_swappiness",
    "net": "network_mode",
    "network": "network_mode",
    "pid": "pid_mode",
    "publish": "port_bindings",
    "restart": "restart_policy",
    "stopgraceperiod": "stop_timeout",
    "userns": "userns_mode",
    "uts": "uts_mode",
    "workdir": "working_dir",
}
"""Words of Docker's command and of compose files, without their dashes → docker-py's."""


def elsewhere(keyword: object) -> str | None:
    """Return docker-py's keyword for one of Docker's command or of compose files."""
    return _ELSEWHERE.get(_shape(str(keyword)))


def nearest(keyword: object, known: Iterable[str]) -> str | None:
    """Find the known keyword most like `keyword`, be it written in another style; None where none is."""
    keywords = set(known)
    if (meant := elsewhere(keyword)) in keywords:
        return meant
    by_shape: dict[str, str] = {}
    # Where docker-py and the Engine share a keyword, answer in the style that was asked in.
    for each in sorted(keywords, key=lambda each: (each.islower() != str(keyword).islower(), each)):
        by_shape.setdefault(_shape(each), each)
    found = difflib.get_close_matches(_shape(str(keyword)), by_shape, n=1, cutoff=0.7)
    return by_shape[found[0]] if found else None


def unknown_keyword(option: str, keyword: object, known: Iterable[str]) -> BadOption:
    """Make the refusal of `keyword`, to be raised."""
    meant = nearest(keyword, known)
    hint = f"did you mean {meant!r}?" if meant else "neither docker-py nor the Engine has such a word here."
    return BadOption(f"{option} has the unknown key {keyword!r}; {hint}")


def _shape(keyword: str) -> str:
    # shm_size, shmSize and ShmSize are one wish.
    return keyword.replace("_", "").replace("-", "").lower()
