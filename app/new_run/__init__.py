"""What the page New run is made of."""
