"""The fault programmes of benchmarks/faults.py: what is broken on purpose, and must hold."""
