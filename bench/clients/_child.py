"""A program in a process of its own that is measured in place of ours."""

from __future__ import annotations

import subprocess
from typing import IO


class Child:
    """A program that reads commands, answers, and ends with its input.

    Attributes:
        input: where it reads.
        output: where it answers, unbuffered at its side.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input: IO[bytes] = self.process.stdin
        self.output: IO[bytes] = self.process.stdout

    def line(self) -> str:
        line = self.output.readline().decode().strip()
        if not line:
            raise EOFError("the measured program has gone")
        return line

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.input.close()
        self.output.close()
