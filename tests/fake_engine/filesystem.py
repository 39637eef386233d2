"""Files: those of images, what containers have beside them, and what is in volumes."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeAlias

DIR, FILE, LINK = "dir", "file", "link"


@dataclass(slots=True)
class Node:
    """A file, a folder or a symbolic link."""

    kind: str = DIR
    uid: int = 0
    gid: int = 0
    mode: int = 0o755
    content: bytes = b""
    target: str = ""
    mtime: float = field(default_factory=time.time)


Tree: TypeAlias = dict[PurePosixPath, Node]
"""Absolute path → what is there; the root is always there."""
ROOT = PurePosixPath("/")


def empty() -> Tree:
    """Give the files of a fresh volume: a folder of root's."""
    return {ROOT: Node()}


def stub() -> Tree:
    """Give the files of the test bed's stub image."""
    tree = empty()
    for path in ("/bin", "/etc", "/home", "/www"):
        tree[PurePosixPath(path)] = Node(mtime=0)
    for path in ("/home/jovyan", "/home/jovyan/work"):
        tree[PurePosixPath(path)] = Node(uid=1000, gid=100, mtime=0)
    # Its archive has an entry for the last folder alone: the Engine has made the others.
    tree[PurePosixPath("/home/jovyan")] = Node(mtime=0)
    for path, content in {
        "/etc/passwd": b"root:x:0:0:root:/:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n",
        "/etc/group": b"root:x:0:\nusers:x:100:\n",
        "/www/index.html": b"stub\n",
    }.items():
        tree[PurePosixPath(path)] = Node(FILE, mode=0o644, content=content, mtime=0)
    tree[PurePosixPath("/bin/sh")] = Node(LINK, mode=0o777, target="busybox", mtime=0)
    return tree


def copy(tree: Tree) -> Tree:
    """Give a tree of its own."""
    return {path: replace(node) for path, node in tree.items()}


def below(tree: Tree, folder: PurePosixPath) -> Tree:
    """Give what is in a folder, as a tree of its own; empty where there is no such folder."""
    return {
        ROOT / path.relative_to(folder): replace(node)
        for path, node in tree.items()
        if path.is_relative_to(folder)
    }


def led_to(tree: Tree, path: PurePosixPath) -> PurePosixPath:
    """Give where a path leads to, by the symbolic links on the way, but for links to links."""
    at = ROOT
    for part in path.parts[1:]:
        at /= part
        node = tree.get(at)
        if node is not None and node.kind == LINK:
            at = PurePosixPath(posixpath.normpath(at.parent / node.target))
    return at


def made_way(tree: Tree, path: PurePosixPath) -> Iterator[PurePosixPath]:
    """Make the folders that lead to a path where they are missing; gives those that were made."""
    for folder in [*reversed(path.parents)][1:]:
        if folder not in tree:
            tree[folder] = Node()
            yield folder


def walk(tree: Tree) -> list[tuple[PurePosixPath, Node]]:
    """Give everything in the order of the Engine's archives: a folder, then what is in it by name."""
    return sorted(tree.items(), key=lambda each: each[0].parts)
