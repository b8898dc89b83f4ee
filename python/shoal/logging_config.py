"""`LoggingConfig`: known, checked, and without effect until logs are structured."""

from collections.abc import Sequence


class LoggingConfig:
    """How the logs of the runtime and its workers are to look. Taken and checked; it changes nothing yet.

    Args:
        encoding: "TEXT" (the default) or "JSON".
        log_level: A level of `logging`, such as "INFO" (the default).
        additional_log_standard_attrs: Names of attributes of `logging.LogRecord` to add to each line.

    Raises:
        ValueError: `encoding` is neither "TEXT" nor "JSON".

    Example:
        >>> from shoal import LoggingConfig
        >>> LoggingConfig(encoding="JSON").log_level
        'INFO'
    """

    def __init__(
        self, encoding: str = "TEXT", log_level: str = "INFO", additional_log_standard_attrs: Sequence[str] = ()
    ) -> None:
        if encoding not in ("TEXT", "JSON"):
            raise ValueError(f"encoding is 'TEXT' or 'JSON', not {encoding!r}")
        self.encoding = encoding
        self.log_level = log_level
        self.additional_log_standard_attrs = list(additional_log_standard_attrs)
