"""Exceptions raised in other threads."""


def raise_in_thread(ident: int, exception: type[BaseException]) -> bool:
    """Raises `exception` in the Python thread `ident` at its next bytecode; whether there is such a thread."""
    import ctypes

    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(exception)))
