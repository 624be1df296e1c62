"""From candidates to what is shown: repeated texts once, neighbours put together."""
