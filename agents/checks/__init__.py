"""What the agents hold a model's answer against before they show it."""
