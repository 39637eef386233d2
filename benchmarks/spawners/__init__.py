"""Spawner objects of either package, without a Hub, in processes of their own."""
