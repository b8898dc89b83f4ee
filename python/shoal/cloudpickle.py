"""The cloudpickle that shoal uses, under the place where Ray's programs look for it.

Example:
    >>> from shoal import cloudpickle
    >>> cloudpickle.loads(cloudpickle.dumps(lambda x: x + 1))(1)
    2
"""

from cloudpickle import (
    CloudPickler,
    Pickler,
    dump,
    dumps,
    list_registry_pickle_by_value,
    load,
    loads,
    register_pickle_by_value,
    unregister_pickle_by_value,
)

__all__ = [
    "CloudPickler",
    "Pickler",
    "dump",
    "dumps",
    "list_registry_pickle_by_value",
    "load",
    "loads",
    "register_pickle_by_value",
    "unregister_pickle_by_value",
]
