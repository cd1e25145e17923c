"""The harness shown to work: every server starts, every fault is the fault its name says."""
