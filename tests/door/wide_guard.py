"""`python -m tests.door.wide_guard`: a guard that is broken: its list has addresses by which files leave."""

from tre.door.guard import paths
from tre.door.guard.__main__ import serve
from tre.door.guard.paths import Kind, Rule, rule
from tre.door.listening import run

MISTAKES: tuple[Rule, ...] = (
    rule(r"files/.+", "GET", Kind.UPSTREAM, "download"),
    rule(r"(nbconvert|view|kernelspecs)/.+", "GET", Kind.UPSTREAM, "download"),
    rule(r"lab/extensions/.+|lab/api/extensions", "GET", Kind.UPSTREAM),
    rule(r"proxy/.+", "GET", Kind.UPSTREAM),
    rule(r"api/terminals|metrics", "GET", Kind.UPSTREAM),
)

if __name__ == "__main__":
    paths.RULES += MISTAKES
    run(serve)
