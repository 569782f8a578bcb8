"""What a person sees while it runs: seconds since the beginning and what happened."""

from __future__ import annotations

import sys
import time
from typing import IO

BEGAN = time.monotonic()


def say(text: str) -> None:
    """One line, at once."""
    print(f"{time.monotonic() - BEGAN:7.1f}s  {text}", flush=True)


#: What the first process of a cluster prints for whoever started it: news, then that all is ready. Anything else is a
#: complaint.
NEWS = "* "
READY = "= ready"


def tell(text: str) -> None:
    print(NEWS + text, flush=True)


def follow(output: IO[str]) -> bool:
    """Pass on what it prints. True when it said that all is ready, False when it ended before."""
    for line in output:
        if line.rstrip() == READY:
            return True
        if line.startswith(NEWS):
            say(line.removeprefix(NEWS).rstrip())
        else:
            print(line, end="", file=sys.stderr, flush=True)
    return False
