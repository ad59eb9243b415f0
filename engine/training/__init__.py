"""One run, from a scenario to its last epoch."""
