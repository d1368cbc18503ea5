"""The ``Date`` header (RFC 9110, 5.6.7), from a number of seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip

_date = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)

_last = (0, "Thu, 01 Jan 1970 00:00:00 GMT")


def http_date(now: float) -> str:
    """Write `now`, in seconds since 1970; names don't depend on the locale."""
    global _last
    second = int(now)
    if _last[0] != second:
        day = datetime.fromtimestamp(second, UTC)
        _last = (
            second,
            f"{DAYS[day.weekday()]}, {day.day:02} {MONTHS[day.month - 1]} {day.year} "
            f"{day.hour:02}:{day.minute:02}:{day.second:02} GMT",
        )
    return _last[1]


def parse_http_date(text: str) -> float | None:
    """Read a date in the form that `http_date` writes; None if it is none."""
    match = _date.fullmatch(text)
    if match is None or match[2] not in MONTHS:
        return None
    day, _, year, hour, minute, second = match.groups()
    month = MONTHS.index(match[2]) + 1
    try:
        return datetime(
            int(year), month, int(day), int(hour), int(minute), int(second), 0, UTC
        ).timestamp()
    except ValueError:
        return None
