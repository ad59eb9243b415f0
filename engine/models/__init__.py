"""The networks, and what a training run does to them besides learning."""
