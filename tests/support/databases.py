"""Databases of a Hub without the Hub: made once, then copied, as their schema takes a second of CPU time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jupyterhub import orm, roles
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, sessionmaker

_open: list[Session] = []
"""Those of a module, then those of its present test."""


def open_database(file: Path) -> Session:
    """Open a Hub's database, which is made where the file is missing: with roles, without users."""
    if not file.exists():
        file.write_bytes(_without_users())
    session = _session(file)
    _open.append(session)
    return session


def open_databases() -> int:
    """Report how many of them are open."""
    return len(_open)


def close_databases(since: int = 0) -> None:
    """Close what was opened since there were so many, with its connections."""
    for session in _open[since:]:
        _close(session)
    del _open[since:]


@cache
def _without_users() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "hub.sqlite")
        session = _session(file)
        orm.Base.metadata.create_all(session.get_bind())
        for role in roles.get_default_roles():
            roles.create_role(session, role)
        session.add(orm.OAuthClient(identifier="jupyterhub"))
        session.commit()
        _close(session)
        return file.read_bytes()


def _session(file: Path) -> Session:
    # As `orm.new_session_factory`, without its stamp of the schema's version, for which Alembic takes over
    # all of the process's logging.
    engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False}, future=True)
    orm.register_foreign_keys(engine)
    orm.register_ping_connection(engine)
    event.listen(engine, "connect", _do_not_wait_for_the_disk)
    return sessionmaker(bind=engine, expire_on_commit=False)()


def _close(session: Session) -> None:
    session.close()
    session.get_bind().engine.dispose()


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    # What was committed survives the end of a process all the same.
    connection.execute("PRAGMA synchronous=OFF")
