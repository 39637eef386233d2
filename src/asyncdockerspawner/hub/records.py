"""What the Hub's database says of servers; written only where a debt is done. Source: `jupyterhub.orm`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jupyterhub import orm
from sqlalchemy import Text, inspect, literal_column, or_
from sqlalchemy.orm import Session, object_session
from sqlalchemy.orm.exc import UnmappedInstanceError

from asyncdockerspawner.lifecycle import Key, Row

AT_ONCE = 500
"""Names in one query: some databases take no more than 999 parameters."""
FEW = 20
"""Of more words, the database searches no states: reading all of them takes less time then."""
PAGE = 100
"""Servers in one query where all are read."""


def session_of(orm_spawner: Any) -> Session:
    """Return the Hub's database session. Raises ValueError for a record that is in no database."""
    session = _session_if_any(orm_spawner)
    if session is None:
        raise ValueError(f"{orm_spawner} is in no database")
    return session


def commit(orm_spawner: Any) -> None:
    """Write what has changed; a record that is in no database keeps it for itself."""
    if (session := _session_if_any(orm_spawner)) is not None:
        session.commit()


def is_in_database(orm_spawner: Any) -> bool:
    """Tell whether there is a database behind a server's record; without a Hub there is none."""
    return _session_if_any(orm_spawner) is not None


def _session_if_any(orm_spawner: Any) -> Session | None:
    try:
        return object_session(orm_spawner)
    except UnmappedInstanceError:
        return None


def server_rows(session: Session, usernames: Iterable[str]) -> Mapping[Key, Row]:
    """Look up all servers of these users."""
    rows: dict[Key, Row] = {}
    for some in _batches(usernames):
        found = map(_row, _servers(session).filter(orm.User.name.in_(some)))
        rows |= {row.key: row for row in found if row.key}
    return rows


def rows_naming(session: Session, words: Iterable[str]) -> Iterator[Row]:
    """Look up the servers, whosever they are, whose saved state has one of these words as a value.

    Of many words, all servers are given that have a state: a page is read when its first is wanted.
    """
    wanted = sorted(set(words))
    if not wanted:
        return
    query = _servers(session).filter(_state().isnot(None))
    if len(wanted) <= FEW:
        yield from map(_row, query.filter(or_(*map(_names, wanted))))
        return
    query, last = query.order_by(orm.Spawner.id), 0
    while page := query.filter(orm.Spawner.id > last).limit(PAGE).all():
        yield from map(_row, page)
        last = page[-1].id


def sandboxes_named(session: Session | None, sandbox_ids: Iterable[str]) -> set[str]:
    """Return those of these sandboxes that a server's saved state names; without a database, none."""
    rows = rows_naming(session, sandbox_ids) if session is not None else []
    return {str(row.state.get("sandbox") or "") for row in rows}


def object_claims(session: Session, username: str, servername: str, object_id: str) -> list[str]:
    """Return the servers other than this one whose saved state names an object, as `user/server`."""
    own = (username, servername)
    return [
        f"{user}/{server}" for user, server in _servers_naming(session, object_id) if (user, server) != own
    ]


def _servers(session: Session) -> Any:
    """A query of what a `Row` is made from: columns, since thousands of the ORM's objects take long."""
    columns = (orm.Spawner.id, orm.User.name.label("user"), orm.Spawner.name, _state().label("state"))
    return (
        session.query(*columns, orm.Server.id.label("server"), orm.Server.base_url)
        .select_from(orm.Spawner)
        .join(orm.User, orm.Spawner.user_id == orm.User.id)
        .outerjoin(orm.Server, orm.Spawner.server_id == orm.Server.id)
    )


def _row(each: Any) -> Row:
    return Row(
        active=each.server is not None,
        state=(each.state and json.loads(each.state)) or {},
        base_url=each.base_url or "",
        key=(each.user, each.name),
    )


def _state() -> Any:
    # As text: the database searches it.
    return literal_column(f"{orm.Spawner.__tablename__}.state", Text)


def _names(word: str) -> Any:
    # Ids and names of volumes are plain ASCII, so JSON has them as they are.
    return _state().contains(json.dumps(word), autoescape=True)


def _servers_naming(session: Session, word: str) -> list[tuple[str, str]]:
    query = (
        session.query(orm.User.name, orm.Spawner.name)
        .join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
        .filter(_names(word))
    )
    return [(user, server) for user, server in query]


def known_users(session: Session, usernames: Iterable[str]) -> set[str]:
    """Return those of the names that are users."""
    found: set[str] = set()
    for some in _batches(usernames):
        found |= {name for (name,) in session.query(orm.User.name).filter(orm.User.name.in_(some))}
    return found


def strike_off_of(session: Session, username: str, servername: str) -> None:
    """Take the debt of a stop out of the saved state of this user's server."""
    user = session.query(orm.User).filter_by(name=username).one_or_none()
    if user is not None and servername in user.orm_spawners:
        strike_off(user.orm_spawners[servername])


def strike_off(orm_spawner: Any) -> None:
    """Take the debt of a stop out of a server's saved state, if the row is still there."""
    # A spawner may have no row at all.
    session = object_session(orm_spawner) if orm_spawner is not None else None
    if session is None or inspect(orm_spawner).was_deleted:
        return
    state = dict(orm_spawner.state or {})
    if state.pop("owed", False):
        state.pop("owed_now", None)
        orm_spawner.state = state
        session.commit()


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for begin in range(0, len(ordered), AT_ONCE):
        yield ordered[begin : begin + AT_ONCE]


def volume_claims(session: Session, username: str, volume: str, servername: str | None) -> list[str]:
    """Return the servers whose saved state names a volume, as `user/server`.

    Left out are those of this user, or with a `servername` only this one.
    """
    return [
        f"{user}/{server}"
        for user, server in _servers_naming(session, volume)
        if user != username or (servername is not None and server != servername)
    ]
