"""What serves the pages, and who may ask for them."""
