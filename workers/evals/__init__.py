"""phiq eval: runs sets of questions, texts and pictures whose answers are known, and measures what comes back."""
