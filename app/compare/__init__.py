"""What the pages that compare finished runs are made of."""
