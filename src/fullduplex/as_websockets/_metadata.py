"""Metadata of ``websockets``, for `importlib.metadata`, while we stand for it."""

from __future__ import annotations

import os
from importlib.metadata import Distribution

from ._names import COMPATIBLE, ROOT


class Compatible(Distribution):
    """A distribution with a name and a version, and no files."""

    def read_text(self, filename: str) -> str | None:
        """Return the text of a metadata file."""
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: {ROOT}\nVersion: {COMPATIBLE}\n"
        return None

    def locate_file(  # type: ignore[override]
        self, path: str | os.PathLike[str]
    ) -> os.PathLike[str]:
        """Refuse; there are no files."""
        raise FileNotFoundError(f"{path} belongs to fullduplex")
