"""From a scenario to a worker: rows, messages and the broker."""
