"""What operators see of the installation: counts and times, logs, traces. Never what people wrote."""
