"""The host engine on machines, volumes and control groups that are real."""
