"""What is measured, over whatever has servers: spawner objects, a Hub, the bare Engine."""
