"""Suites for parts of one's own: subclass one, say how the part is made, run it with pytest."""

from shoal.testing.persistence import PersistenceContract

__all__ = ["PersistenceContract"]
