"""`python -m tests.door.quick_guard`: the guard as it is, only looking around more often."""

from functools import partial

from tre.door.guard.__main__ import serve
from tre.door.guard.keeper import Rhythm
from tre.door.listening import run

run(partial(serve, rhythm=Rhythm(recheck=1, tell_hub=1, look=1)))
