"""What the Hub sees, and what sites configure and subclass."""
