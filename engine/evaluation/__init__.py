"""What a model gets wrong, class by class, under a protocol that is written down."""
