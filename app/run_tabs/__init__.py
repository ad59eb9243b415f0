"""The tabs of a run's page, one a file: draw(run)."""
