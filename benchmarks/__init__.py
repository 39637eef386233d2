"""What is measured: our spawner, DockerSpawner 14 and the bare Engine, in one run on one Engine."""
