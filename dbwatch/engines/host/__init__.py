"""The machine that databases run on, as a target."""
