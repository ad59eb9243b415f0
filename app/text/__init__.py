"""How everything is said and coloured: labels, numbers, times."""
