"""The truth about jobs, kept in Redis by scripts that check who writes."""
