"""A constraint that no node could fit is told before it is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.constraints import checked


@pytest.mark.parametrize(
    "constraint",
    [
        "node.role==worker",
        "node.role != manager",
        " node.labels.gpu == A100 ",
        "node.labels.user==alice",
        "engine.labels.operatingsystem==ubuntu 22.04",
        "NODE.Hostname==n1",
        "node.ip==10.0.0.0/24",
        "node.id!=2ivku8v2gvtg4",
        "node.platform.arch==x86_64",
        "node.platform.os==linux",
    ],
)
def test_what_a_swarm_knows_passes_as_it_is(constraint: str) -> None:
    assert checked(constraint, "o") == constraint


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("node.role=worker", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("node.role", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("==worker", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("node.role==", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("node role==worker", "'KEY==VALUE' or 'KEY!=VALUE'"),
        ("node.labels.user==al,ice", "no value with other characters"),
        ("node.labels.user==älice", "no value with other characters"),
        ("node.labels.user==ſK", "no value with other characters"),
        ("node.label.gpu==1", "did you mean 'node.labels.NAME'?"),
        ("node.labels.==1", "unknown key 'node.labels.'"),
        ("node.name==n1", "unknown key 'node.name'"),
        ("node.roles==worker", "did you mean 'node.role'?"),
        ("node.role==workers", "worker or manager"),
    ],
)
def test_what_it_would_refuse_or_never_fit_is_refused(constraint: str, said: str) -> None:
    with pytest.raises(BadOption) as caught:
        checked(constraint, "o")
    assert str(caught.value).startswith("o has")
    assert said in str(caught.value)


@given(st.text(max_size=40) | st.builds("node.{}=={}".format, st.text(max_size=8), st.text(max_size=8)))
def test_any_text_is_taken_or_refused_in_our_words(constraint: str) -> None:
    try:
        assert checked(constraint, "o") == constraint
    except BadOption:
        return
    assert "==" in constraint or "!=" in constraint
