"""The two-class Gaussian mixtures of the paper's theory."""
