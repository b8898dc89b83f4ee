"""address="auto" never starts an instance: ConnectionError."""

from oracle import raises, ray

raises(ConnectionError, lambda: ray.init(address="auto"))
assert not ray.is_initialized()
