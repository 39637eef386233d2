"""What is read of a saved state, also of one that DockerSpawner has saved."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.lifecycle.record import Record


@pytest.mark.parametrize(
    ("state", "object_id"),
    [
        ({"container_id": "old"}, "old"),
        ({"container_id": "old", "object_id": "new"}, "new"),
        ({"container_id": "old", "object_id": ""}, "old"),
        ({"object_name": "jupyter-alice"}, ""),
    ],
)
def test_an_id_is_read_where_dockerspawner_of_old_kept_it_too(state: dict[str, Any], object_id: str) -> None:
    record = Record.of(state)
    assert record.object_id == object_id
    # From then on it is kept where it is today.
    saved = record.state(None)
    assert (saved.get("object_id", ""), "container_id" in saved) == (object_id, False)


def test_what_is_saved_is_read_back() -> None:
    record = Record(
        object_id="a",
        object_name="jupyter-alice",
        removal=False,
        sandbox="s",
        owed=True,
        kept_ids=["b"],
        volume_names={"{username}": "alice"},
    )
    assert Record.of(record.state(None)) == record
