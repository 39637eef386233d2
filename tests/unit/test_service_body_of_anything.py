"""Whatever a configuration has in an option, it becomes a service, or a sentence that names the option."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords import create, host, service, service_parts
from asyncdockerspawner.workloads.launch import SwarmInputs
from asyncdockerspawner.workloads.service.body import ServiceBody, build_service
from tests.support.service_launch import service_launch

NAMES = re.findall(
    r"\w+",
    """Target Source Type Name Options test bind mode target File Kind Value DiscreteResourceSpec Limits
    Reservations MemoryBytes NanoCPUs GenericResources ports constraints Spread ContainerSpec Mounts
    VolumeOptions DriverConfig Replicated SecretID SecretName ConfigID ConfigName Protocol TargetPort
    PublishMode""",
)
TEXTS = ["a:b", "/w", "v:/w", "v:/w:ro", "node.role==worker", "true", "none", "vip", "1g", "5"]
numbers = st.integers(-5, 10**10) | st.floats()
texts = st.text(max_size=6) | st.binary(max_size=3) | st.sampled_from(TEXTS)


def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists, keys = st.lists(inner, max_size=3), st.text(max_size=4) | st.sampled_from(NAMES)
    return lists | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner, inner)


anything: st.SearchStrategy[Any]
anything = st.recursive(st.none() | st.booleans() | numbers | texts, deeper, max_leaves=8)


def of_words(*tables: Iterable[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return dictionaries of keywords that there are, with any values."""
    words = sorted({word for table in tables for word in table})
    return st.dictionaries(st.sampled_from(words), anything, max_size=3)


SPECS: dict[str, st.SearchStrategy[Any]] = {
    "extra_container": of_words(service.CONTAINER_WORDS, service.CONTAINER_KEYS),
    "extra_task": of_words(service.TASK_WORDS, service.TASK_KEYS),
    "extra_resources": of_words(service_parts._AMOUNTS, service_parts._SECTIONS, service_parts._NUMBERS),
    "extra_placement": of_words(service_parts.PLACEMENT, ["MaxReplicas"]),
    "extra_endpoint": of_words(service_parts.ENDPOINT),
}
OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "extra_host": of_words(host.KEYWORDS, host.KEYS),
    "extra_create": of_words(create.KEYWORDS, create.KEYS, service.CREATE_WORDS),
    "binds": st.dictionaries(st.text(max_size=4) | st.sampled_from(["v", "/h"]), anything, max_size=2),
    "mounts": st.lists(anything, max_size=2),
    "healthcheck": anything,
}


def built(specs: dict[str, Any], **others: Any) -> ServiceBody | None:
    """Return the body; None where there was a sentence instead."""
    try:
        return ServiceBody(build_service(service_launch(SwarmInputs(**specs), **others)))
    except BadOption:
        return None


def read(body: ServiceBody | None) -> None:
    """See that all is told of a body that is told of any, and that it is a server's of ours."""
    if body is None:
        return
    for told in (body.mounted(), body.named_volumes(), body.local_volumes(), body.bound_paths()):
        assert all(isinstance(each, str) for each in told)
    assert isinstance(body.environment, dict)
    assert isinstance(body.network_mode, str)
    document = body.labelled({"a": "b"}).document
    assert document["Mode"] == {"Replicated": {"Replicas": 1}}
    for marked in (document, document["TaskTemplate"]["ContainerSpec"]):
        assert (marked["Labels"]["asyncdockerspawner.user"], marked["Labels"]["a"]) == ("alice", "b")


@pytest.mark.parametrize("option", SPECS)
@given(data=st.data())
def test_a_spec_becomes_a_service_or_a_sentence(option: str, data: st.DataObject) -> None:
    read(built({option: data.draw(SPECS[option])}))


@pytest.mark.parametrize("option", OTHERS)
@given(data=st.data())
def test_an_option_becomes_a_service_or_a_sentence(option: str, data: st.DataObject) -> None:
    read(built({}, **{option: data.draw(OTHERS[option])}))


@given(st.fixed_dictionaries(SPECS))
def test_so_do_all_of_them_together(specs: dict[str, Any]) -> None:
    read(built(specs))
