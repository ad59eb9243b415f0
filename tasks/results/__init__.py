"""What finished runs are asked for."""
