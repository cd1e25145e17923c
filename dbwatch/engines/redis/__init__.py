"""The Redis engine: Redis and Valkey servers, replicas, cluster nodes and sentinels, through redis-py."""
