"""Actors from the inside and by type: `exit_actor`, `ActorHandle`, `ActorClass`."""

from shoal.core.actor_class import ActorClass
from shoal.core.actor_exit import exit_actor
from shoal.core.actor_handle import ActorHandle, ActorMethod

__all__ = ["ActorClass", "ActorHandle", "ActorMethod", "exit_actor"]
