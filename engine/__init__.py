"""The training engine: pure PyTorch, with no database, broker or web page in sight."""
