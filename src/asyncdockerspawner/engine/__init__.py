"""What all spawners of one Engine share."""
