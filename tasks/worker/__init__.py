"""The process that claims runs and sees their trainers through."""
