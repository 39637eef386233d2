"""Refuse an unknown word with the known one that was probably meant."""

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


def elsewhere(word: object) -> str | None:
    """Return docker-py's word for one of Docker's command or of compose files."""
    return _ELSEWHERE.get(_shape(str(word)))


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Find the known word most like `word`, be it written in another style; None where none is."""
    words = set(known)
    if (meant := elsewhere(word)) in words:
        return meant
    by_shape: dict[str, str] = {}
    # Where docker-py and the Engine share a word, answer in the style that was asked in.
    for each in sorted(words, key=lambda each: (each.islower() != str(word).islower(), each)):
        by_shape.setdefault(_shape(each), each)
    found = difflib.get_close_matches(_shape(str(word)), by_shape, n=1, cutoff=0.7)
    return by_shape[found[0]] if found else None


def unknown_word(option: str, word: object, known: Iterable[str]) -> BadOption:
    """Make the refusal of `word`, to be raised."""
    meant = nearest(word, known)
    hint = f"did you mean {meant!r}?" if meant else "neither docker-py nor the Engine has such a word here."
    return BadOption(f"{option} has the unknown key {word!r}; {hint}")


def _shape(word: str) -> str:
    # shm_size, shmSize and ShmSize are one wish.
    return word.replace("_", "").replace("-", "").lower()
