"""Asks a server the questions of a check's runbook, for a person: `dbwatch explain CHECK --target TARGET`."""
