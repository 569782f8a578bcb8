"""`python -m tests.door.quick_guard`: the guard as it is, only looking around more often."""

import uvloop

from tre.door.guard.__main__ import serve
from tre.door.guard.keeper import Rhythm
from tre.door.places import Places
from tre.settings import Settings

uvloop.run(serve(Places(Settings.load()), Rhythm(recheck=1, tell_hub=1, look=1)))
