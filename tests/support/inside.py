"""What a command says inside a container."""

from __future__ import annotations

import httpx


def said(http: httpx.Client, ref: str, *command: str, user: str = "") -> str:
    """Run a command in a container, as the user that this one runs as or another; gives what it writes."""
    words = {"Cmd": list(command), "User": user, "AttachStdout": True, "AttachStderr": True, "Tty": True}
    made = http.post(f"/containers/{ref}/exec", json=words).raise_for_status().json()["Id"]
    return http.post(f"/exec/{made}/start", json={"Tty": True}).raise_for_status().text.strip()
