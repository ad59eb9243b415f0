"""What a run's page is made of, besides its tabs."""
