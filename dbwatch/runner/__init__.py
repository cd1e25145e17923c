"""The run: one check on one session under one deadline becomes one outcome."""
