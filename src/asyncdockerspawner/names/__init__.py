"""Names and labels of what is created, and whose it is."""

from asyncdockerspawner.names.naming import escape_dns

__all__ = ["escape_dns"]
