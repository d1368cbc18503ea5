"""Print the contract as a table: behaviour by face."""

from __future__ import annotations

import sys

import pytest

from .behaviours import BEHAVIOURS
from .faces import FACES


def main() -> int:
    """Run all of it; returns 1 if something does not hold."""
    failures = 0
    print("| behaviour |", " | ".join(face.name for face in FACES), "|")
    print("|---" * (len(FACES) + 1) + "|")
    for behaviour in BEHAVIOURS:
        cells = []
        for face in FACES:
            if face.missing() is not None:
                cells.append("missing")
            elif (behaviour.cancels and not face.cancels) or (
                face.tls and not behaviour.tls
            ):
                cells.append("-")
            else:
                try:
                    face.run(behaviour.run)
                except BaseException as exc:
                    if isinstance(exc, KeyboardInterrupt):
                        raise
                    if isinstance(exc, pytest.skip.Exception):
                        cells.append("missing")
                        continue
                    failures += 1
                    cells.append(f"**{type(exc).__name__}**")
                else:
                    cells.append("holds")
        side = f" ({behaviour.side})" if behaviour.side else ""
        print(f"| {behaviour.name.replace('_', ' ')}{side} |", " | ".join(cells), "|")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
