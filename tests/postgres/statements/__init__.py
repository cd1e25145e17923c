"""The statement checks against servers whose workload is known."""
