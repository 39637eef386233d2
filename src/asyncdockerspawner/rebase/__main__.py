"""`python -m asyncdockerspawner.rebase`."""

from __future__ import annotations

import sys

from asyncdockerspawner.rebase.command import main

sys.exit(main())
