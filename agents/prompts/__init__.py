"""What the agents say to a model: functions from inputs to LangChain messages, and nothing else."""
