"""What the Hub's database says of servers: read, never written. Source: `jupyterhub.orm`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jupyterhub import orm
from sqlalchemy.orm import Session, object_session

from asyncdockerspawner.lifecycle import Key, Row

AT_ONCE = 500
"""Names in one query: some databases take no more than 999 parameters."""


def session_of(orm_spawner: Any) -> Session:
    """Give the Hub's database session. Raises ValueError for a record that is in no database."""
    session = object_session(orm_spawner)
    if session is None:
        raise ValueError(f"{orm_spawner} is in no database")
    return session


def server_rows(session: Session, usernames: Iterable[str]) -> Mapping[Key, Row]:
    """Look up all servers of these users."""
    names = sorted(usernames)
    rows: dict[Key, Row] = {}
    for begin in range(0, len(names), AT_ONCE):
        query = (
            # The name beside the row: a row's own way to its user costs four queries.
            session.query(orm.User.name, orm.Spawner)
            .join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
            .filter(orm.User.name.in_(names[begin : begin + AT_ONCE]))
        )
        for username, each in query:
            rows[username, each.name] = Row(active=each.server is not None, state=each.state or {})
    return rows
