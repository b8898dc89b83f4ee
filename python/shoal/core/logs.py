"""Records of `logging` as a `LoggingConfig` wants them: in a driver from `init` to `shutdown`, in a worker for life."""

import json
import logging
from typing import Any

from shoal.core import _ffi
from shoal.core.live import LIVE
from shoal.logging_config import STANDARD_ATTRS, LoggingConfig

_TEXT = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"
_ALWAYS = ("asctime", "levelname", "message", "filename", "lineno")


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Ours, on whatever `sys.stderr` is at the time; and what the root logger was before."""

    def __init__(self, config: LoggingConfig, level_before: int) -> None:
        super().__init__()
        self.level_before = level_before
        self.setFormatter(_FORMATTERS[config.encoding](config.additional_log_standard_attrs))

    def emit(self, record: logging.LogRecord) -> None:
        import sys

        self.stream = sys.stderr
        if self.stream is not None:
            super().emit(record)


class _Text(logging.Formatter):
    def __init__(self, attrs: list[str]) -> None:
        super().__init__(_TEXT)
        self._attrs = attrs

    def formatMessage(self, record: logging.LogRecord) -> str:
        more = {name: getattr(record, name, None) for name in self._attrs if name not in _ALWAYS} | where()
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in more.items())])


class _Json(logging.Formatter):
    def __init__(self, attrs: list[str]) -> None:
        super().__init__()
        self._attrs = [*_ALWAYS, *attrs]

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        out: dict[str, Any] = {name: getattr(record, name, None) for name in self._attrs}
        out |= where()
        out["timestamp_ns"] = int(record.created * 1e9)
        out |= {name: value for name, value in vars(record).items() if name not in STANDARD_ATTRS}
        if record.exc_info:
            out["exc_text"] = self.formatException(record.exc_info)
        if record.stack_info:
            out["stack_info"] = self.formatStack(record.stack_info)
        try:
            return json.dumps(out, default=_text, allow_nan=False)
        except (TypeError, ValueError, RecursionError):  # a key that is no text, not a number, a ring
            return json.dumps({name: _plain(value) for name, value in out.items()})


def _text(value: object) -> str:
    """What JSON has no form for, as text: a record is not lost for one value."""
    try:
        return str(value)
    except Exception as error:
        return f"<{type(value).__name__} that can't be shown: {error!r}>"


def _plain(value: object) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _text(value)
    return value


_FORMATTERS = {"TEXT": _Text, "JSON": _Json}


def apply(config: LoggingConfig) -> None:
    """Gives the root logger the handler and the level that `config` asks for."""
    withdraw()
    root = logging.getLogger()
    root.addHandler(_Handler(config, root.level))
    root.setLevel(config.log_level)


def withdraw() -> None:
    """Takes the handler away, and sets the level that was before."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
        root.setLevel(handler.level_before)


def where() -> dict[str, str]:
    """Ids and names of what runs here, as far as they are known."""
    if not LIVE.epoch:
        return {}
    from shoal.core.context import RuntimeContext

    context = RuntimeContext()
    found = {
        **_ids(LIVE.epoch),
        "task_id": context.get_task_id(),
        "task_name": context.get_task_name(),
        "actor_id": context.get_actor_id(),
        "actor_name": context.get_actor_name(),
    }
    return {name: value for name, value in found.items() if value}


_IDS: tuple[int, dict[str, str | None]] = (0, {})


def _ids(epoch: int) -> dict[str, str | None]:
    """What does not change within a session."""
    global _IDS
    if _IDS[0] != epoch:
        session = _ffi.session()
        _IDS = (epoch, {name: session.get(name) for name in ("job_id", "worker_id", "node_id")})
    return _IDS[1]
