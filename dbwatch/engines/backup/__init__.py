"""The backup engine: a folder of dump files is a target of its own, without any server."""
