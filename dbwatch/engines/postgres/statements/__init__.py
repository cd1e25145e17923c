"""What the statements of a server did between two looks: counters that survive resets, windows, estimates, texts."""
