"""What a server runs as, and what is known of it."""
