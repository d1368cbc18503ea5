"""The one list of what every face must do."""

from __future__ import annotations

from . import (
    closing,
    compatibility,
    encryption,
    fairness,
    heads,
    held,
    keepalive,
    limits,
    opening,
    proxies,
    receiving,
    records,
    sending,
    serving,
)
from .registry import BEHAVIOURS, Behaviour

__all__ = ["BEHAVIOURS", "Behaviour"]

# Importing them has registered their behaviours.
PARTS = (
    opening,
    receiving,
    sending,
    closing,
    keepalive,
    limits,
    held,
    serving,
    heads,
    compatibility,
    encryption,
    records,
    fairness,
    proxies,
)
