"""From a dataset's files to the batches of a run."""
