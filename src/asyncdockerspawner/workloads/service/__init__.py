"""A server as a service of one replica, anywhere in a swarm."""
