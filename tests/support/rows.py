"""Rows of servers in the Hub's database."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner.lifecycle.reconcile import Row

LEFT = {"spawn_id": "s1", "phase": "starting"}
"""What is saved of a start that was cut off."""


def inactive(**state: Any) -> Row:
    """Give the row of a server that the Hub takes for stopped."""
    return Row(active=False, state=state)
