"""What an agent may call while it works."""
