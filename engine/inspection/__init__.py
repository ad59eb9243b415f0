"""What a run has learned, to look at and never to train."""
