"""What probes of replication share: what nodes tell each other, how far back a standby is, who must be in step."""
