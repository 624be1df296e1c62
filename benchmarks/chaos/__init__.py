"""Break everything while jobs run, and count by witnesses of our own whether any job suffered: ``make chaos``."""
