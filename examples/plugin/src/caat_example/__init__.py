"""A method, a backbone, a data set and an attack for CAAT Studio."""
