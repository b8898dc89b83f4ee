"""What goes wrong when somebody looks inside."""


class RayStateApiException(Exception):
    """The state can't be told, or not all of it: a process is stopped or silent, or there is more than is sent."""
