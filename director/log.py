"""Log lines to stderr: for journald with their level, for a person with the process's name."""

import logging
import os
import sys

# sd-daemon(3): a line that starts with <N> has that syslog level.
SYSLOG_LEVEL = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class _Journal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # An event is a line of JSON for whoever searches the journal, and words for a person.
        text = getattr(record, "json", "") or super().format(record).replace("\n", "\n ")
        return f"<{SYSLOG_LEVEL.get(record.levelno, 5)}>{text}"


def _goes_to_journal() -> bool:
    """$JOURNAL_STREAM is inherited, so it names the stream that it is about (systemd.exec(5))."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


def start_logging() -> None:
    """Call once, first thing in a process."""
    handler = logging.StreamHandler(sys.stderr)
    if _goes_to_journal():
        handler.setFormatter(_Journal("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    root = logging.getLogger("director")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
