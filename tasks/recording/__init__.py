"""What a trainer leaves behind: rows, checkpoints, logs, and why it ended."""
