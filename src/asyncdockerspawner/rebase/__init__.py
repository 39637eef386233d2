"""A command: build a single-user image on another base."""
