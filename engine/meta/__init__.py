"""Learning from clean images which sample gets which weight."""
