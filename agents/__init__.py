"""What a job does: one module a chain, and the extractive twins that need no generative model."""
