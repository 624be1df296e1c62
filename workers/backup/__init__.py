"""A whole installation in one file: its queue, documents and attachments, and on request its models."""
