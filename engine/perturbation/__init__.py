"""Adversaries and anti-adversaries: balls, steps and the attack inside training."""
