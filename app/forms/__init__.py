"""From a scenario's fields to widgets, and back to a validated scenario."""
