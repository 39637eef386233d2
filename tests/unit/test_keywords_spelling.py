"""Unknown words are refused with the word that was meant."""

from __future__ import annotations

import pytest

from asyncdockerspawner.keywords import create, host, spelling
from asyncdockerspawner.keywords.spelling import nearest, unknown_keyword

KNOWN = [
    "shm_size",
    "ShmSize",
    "mem_limit",
    "Memory",
    "cap_add",
    "cpuset_mems",
    "cpuset_cpus",
    "memswap_limit",
]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("shm_sise", "shm_size"),
        ("shmsize", "shm_size"),
        ("SHMSize", "ShmSize"),
        ("mem-limit", "mem_limit"),
        ("cap_ad", "cap_add"),
        ("cpuset", "cpuset_cpus"),
        ("--memory-swap", "memswap_limit"),
        ("restart", None),
        ("wholly_different", None),
        (5, None),
    ],
)
def test_the_nearest_known_word_is_found_in_the_style_of_the_asking(word: object, meant: str | None) -> None:
    assert nearest(word, KNOWN) == meant


def test_words_of_dockers_command_and_of_compose_mean_words_that_there_are() -> None:
    assert {*spelling._ELSEWHERE.values()} <= {*create.KEYWORDS, *host.KEYWORDS}
    assert {*spelling._ELSEWHERE} & {*create.KEYWORDS, *host.KEYWORDS} == set()


def test_a_refusal_names_option_word_and_what_was_meant() -> None:
    sentence = str(unknown_keyword("extra_host_config", "mem_limt", KNOWN))
    assert sentence == "extra_host_config has the unknown key 'mem_limt'; did you mean 'mem_limit'?"


def test_a_refusal_without_a_near_word_says_so() -> None:
    assert "neither docker-py nor the Engine" in str(unknown_keyword("extra_host_config", "zzz", KNOWN))
