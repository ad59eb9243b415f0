"""The three errors, as rows, cards, tables and charts call them."""

NATURAL_ERROR, BOUNDARY_ERROR, ROBUST_ERROR = "natural_error", "boundary_error", "robust_error"
ERRORS = (NATURAL_ERROR, BOUNDARY_ERROR, ROBUST_ERROR)
