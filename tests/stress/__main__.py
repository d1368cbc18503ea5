"""Ill-treat servers for a given time: ``make stress ARGS="--seconds 600 --scale 3"``.

Faces and scenarios come in a random order, each with so many peers as the tests have,
times the scale.  The first thing that does not hold ends it, with status 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from .kit import FACES, Subject, certificate
from .servers import SCENARIOS


def main() -> int:
    """Run until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--face", choices=[face.name for face in FACES])
    parser.add_argument("--scenario", choices=[item.__name__ for item in SCENARIOS])
    parser.add_argument("--seed", type=int, default=None, help="default: by chance")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(2**24)
    print(f"seed: {seed}", flush=True)
    chance = random.Random(seed)
    faces = [
        face
        for face in FACES
        if given.face in (None, face.name)
        and (face.needs is None or find_spec(face.needs))
    ]
    scenarios = [s for s in SCENARIOS if given.scenario in (None, s.__name__)]
    end = time.monotonic() + given.seconds
    rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            face = chance.choice(faces)
            tls = certificate(Path(folder)) if chance.random() < 0.5 else None
            with Subject(face, tls) as subject:
                # Several on one server: what one leaves would meet the next.
                for scenario in chance.sample(scenarios, min(3, len(scenarios))):
                    began = time.monotonic()
                    scenario(subject, given.scale)
                    memory = subject.report()["memory"] / 2**20
                    print(
                        f"{face.name:13} {'tls' if tls else 'plain':6}"
                        f"{scenario.__name__:18} {time.monotonic() - began:5.1f} s, "
                        f"{memory:.0f} MiB afterwards",
                        flush=True,
                    )
                    rounds += 1
                subject.stop()
    print(f"{rounds} scenarios, all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
