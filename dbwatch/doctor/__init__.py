"""The doctor: what this role may see of a server, what every check needs, and the exact statements that grant it."""
