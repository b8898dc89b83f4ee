"""The version of the installed package."""

from functools import cache


@cache
def version() -> str:
    """The version that is installed, such as "0.1.0"; "0+unknown" when it runs from a bare checkout.

    Example:
        >>> from shoal.version import version
        >>> version()[0].isdigit()
        True
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("shoal")
    except PackageNotFoundError:
        return "0+unknown"
