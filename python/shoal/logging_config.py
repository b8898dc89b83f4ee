"""`LoggingConfig`: how records of `logging` look, in a driver and in its workers."""

import logging
from collections.abc import Sequence
from typing import Any

STANDARD_ATTRS = frozenset([*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime"])
"""Attributes that every record has."""


class LoggingConfig:
    """How records of `logging` look, for `init(logging_config=...)`: in the driver and in its workers.

    The root logger gets one handler, on standard error, and `log_level`. Each record also tells where it was made, as
    far as that is known: `job_id`, `worker_id`, `node_id`, `task_id`, `task_name`, `actor_id`, `actor_name`.
    `shutdown()` takes the handler away again.

    Args:
        encoding: "TEXT" (the default): a line of words, then `key=value`. "JSON": one object a line, with `asctime`,
            `levelname`, `message`, `filename`, `lineno`, `timestamp_ns`, what `extra=` gave, and `exc_text` of an
            exception.
        log_level: A level of `logging`, such as "INFO" (the default).
        additional_log_standard_attrs: Names of attributes of `logging.LogRecord` to add to each line.

    Raises:
        TypeError: `additional_log_standard_attrs` is text.
        ValueError: `encoding` is neither "TEXT" nor "JSON", `log_level` is no level, or an attribute is none that every
            record has.

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
        if not isinstance(logging.getLevelName(log_level), int):
            raise ValueError(f"log_level is the name of a level of logging, such as 'INFO', not {log_level!r}")
        if isinstance(additional_log_standard_attrs, str):
            raise TypeError(f"additional_log_standard_attrs takes a list, not {additional_log_standard_attrs!r} (str)")
        unknown = sorted(set(additional_log_standard_attrs) - STANDARD_ATTRS)
        if unknown:
            raise ValueError(f"additional_log_standard_attrs has {unknown[0]!r}, which not every log record has")
        self.encoding = encoding
        self.log_level = log_level
        self.additional_log_standard_attrs = list(additional_log_standard_attrs)

    def to_dict(self) -> dict[str, Any]:
        """Its arguments by name, for a worker."""
        return {
            "encoding": self.encoding,
            "log_level": self.log_level,
            "additional_log_standard_attrs": self.additional_log_standard_attrs,
        }
