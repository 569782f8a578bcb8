"""`python -m tests.door.quick_guard`: the guard as it is, only looking around more often, and with less patience."""

from functools import partial

from tre.door.guard import browser
from tre.door.guard.__main__ import serve
from tre.door.guard.keeper import Rhythm
from tre.door.listening import run

browser.HEAD_SECONDS = browser.BODY_SECONDS = 2
browser.WRITE_SECONDS = 5
run(partial(serve, rhythm=Rhythm(recheck=1, tell_hub=1, look=1, learn=0.3, begin=3)))
