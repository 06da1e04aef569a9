"""One JSON object a line on standard error; a request is logged only where something is amiss."""

import json
import logging
import logging.config
import warnings
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import HTTPException
from kserve.errors import InferenceError, InvalidInput, ModelNotFound, ModelNotReady, UnsupportedProtocol

from serving.tracing import CALL

LOG: Final = logging.getLogger("marquee.serving")
_CLIENTS_FAULTS: Final = (
    InferenceError,  # a tensor that is none; ours are logged where they happen
    InvalidInput,
    ModelNotFound,
    ModelNotReady,  # asked for every few seconds while it starts or ends
    UnsupportedProtocol,
    HTTPException,
    NotImplementedError,
)


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and what the caller adds as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback is a field of it."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class WithoutClientsFaults(logging.Filter):
    """Drops what KServe logs with a traceback each time that a client sends nonsense: metrics count those."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        return not (record.exc_info and isinstance(record.exc_info[1], _CLIENTS_FAULTS))


def configure_logs(level: str) -> None:
    """Send all logs to standard error.

    There is no access log: `/metrics` counts requests, and a line costs as much as a tenth of a list.
    """
    warnings.filterwarnings("ignore", "ORJSONResponse is deprecated", module="fastapi")  # KServe's to mend
    quiet = {"handlers": ["err"], "level": "WARNING", "propagate": False}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"clients": {"()": WithoutClientsFaults}},
            "formatters": {"json": {"()": JsonLines}},
            "handlers": {
                "err": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "json",
                    "filters": ["clients"],
                }
            },
            "root": {"handlers": ["err"], "level": "WARNING"},
            "loggers": {
                "marquee": {"level": level.upper()},
                "opentelemetry": {"level": "ERROR"},  # a batch that failed is a line, a new attempt is none
                "kserve": quiet,
                "kserve.trace": quiet,
                "uvicorn": quiet,
                "uvicorn.error": {"level": "WARNING"},
                "uvicorn.access": {"handlers": [], "level": "WARNING", "propagate": False},
            },
        }
    )


def note_fault(error: Exception, request_id: str) -> None:
    """Log a fault of ours with its traceback, and with its trace where there is one."""
    fields = {"request_id": request_id}
    if (call := CALL.get()) is not None:
        fields["trace_id"] = call.fail(error, request_id)
    LOG.error("a request failed", exc_info=error, extra={"fields": fields})
