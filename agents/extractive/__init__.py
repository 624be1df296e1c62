"""The agents that need no generative model: they answer in the words of the documents."""
