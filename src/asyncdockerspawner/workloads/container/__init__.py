"""A server in a container of its own."""
