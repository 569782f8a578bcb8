"""Lists and searches at 1,000 and at 100,000 requests: `python -m tests.outputs.bench_lists` prints JSON."""

import json
import statistics
import time
from typing import Any

from sqlalchemy import text

from tests.outputs.benches import furnished_house
from tests.outputs.house import House
from tre.outputs.lists import Filters, list_requests
from tre.store import Database

SIZES = (1_000, 100_000)
ROUNDS = 60
LIMIT_MS = 50.0
# Flat: so much more may a hundred times as many requests cost.
MORE_MS = 10.0
# Half the requests in ten projects, the others over two thousand; states as they are after years of work.
PROJECTS = """
INSERT INTO project (slug, title, purpose, public_benefit, legal_basis, risk_of_sharing, cost_of_withholding, end_date,
                     state, state_since, state_reason, proposed_by, proposed_at)
SELECT 'p' || n, 't', 'p', 'b', 'l', 'r', 'c', '2026-12-31', 'approved', now(), '', 'ada', now()
FROM generate_series(1, 2000) n;
INSERT INTO member (project_id, person_id, joined_at)
SELECT p.id, q.id, now() FROM project p, person q WHERE q.username = 'ada' AND p.slug IN ('p1', 'p7', 'p500', 'p1500')
"""
REQUESTS = """
INSERT INTO release_request (project_slug, author, title, state, reason, failed_from, state_since, version, created_at,
                             attempts, lease)
SELECT 'p' || CASE WHEN n % 2 = 0 THEN 1 + n / 2 % 10 ELSE 1 + n * 7919 % 2000 END,
       (ARRAY['ada', 'ben', 'eve'])[1 + n % 3],
       'Table ' || n || (ARRAY[' costs', ' visits', ' survival', ' income'])[1 + n % 4] || ' w' || n % 5000,
       CASE WHEN n % 200 = 0 THEN 'in_review' WHEN n % 50 = 1 THEN 'returned' WHEN n % 10 = 2 THEN 'rejected'
            ELSE 'released' END,
       '', '', now(), 1, now(), 0, ''
FROM generate_series((SELECT count(*) + 1 FROM release_request), :size) n
"""
VERSIONS = """
INSERT INTO request_version (request_id, number, title, context, controls, decided_by, decision, released_by,
                             submitted_at, checks, required)
SELECT id, 1, title, '', '', '', '', '', now(), '{}', 2 FROM release_request
ON CONFLICT DO NOTHING
"""
REVIEWS = """
INSERT INTO review (request_id, version, reviewer, number, completed_at)
SELECT id, 1, reviewer, number, now()
FROM release_request, (VALUES ('cora', 1), ('carl', 2)) AS r (reviewer, number) WHERE state = 'released'
ON CONFLICT DO NOTHING
"""
QUESTIONS: dict[str, tuple[str, Filters]] = {
    "an administrator's newest": ("adam", Filters()),
    "a page far behind": ("adam", Filters(after=500)),
    "a checker's queue": ("cora", Filters(waiting=True)),
    "a member's requests in four projects": ("ada", Filters()),
    "a member's returned requests": ("ada", Filters(state="returned")),
    "all in review": ("adam", Filters(state="in_review")),
    "whose turn: author": ("adam", Filters(turn="author")),
    "one project": ("cora", Filters(project="p1500")),
    "one author's": ("adam", Filters(author="eve", state="rejected")),
    "search, a rare word": ("adam", Filters(search="w4321")),
    "search, a common word": ("adam", Filters(search="costs")),
    "search, two words": ("cora", Filters(search="surv w12")),
    "a member's search": ("ada", Filters(search="income")),
}


def measure(house: House, who: str, filters: Filters) -> tuple[float, float]:
    """Median and 95th percentile of one page, in milliseconds."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with house.db.read() as session:
            list_requests(session, house.actor(who), filters, now=house.clock())
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1]


def fill(house: House, size: int) -> None:
    with house.db.transaction() as session:
        session.execute(text(REQUESTS), {"size": size})
        session.execute(text(VERSIONS))
        session.execute(text(REVIEWS))


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark page: each question at both sizes."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in QUESTIONS}
    with furnished_house() as (house, settings):
        owner = Database(settings.state_url("tre_owner"))
        with house.db.transaction() as session:
            for statement in PROJECTS.split(";"):
                session.execute(text(statement))
        for size in SIZES:
            fill(house, size)
            with owner.transaction() as session:
                session.execute(text("ANALYZE"))
            for name, (who, filters) in QUESTIONS.items():
                found[name].append(measure(house, who, filters))
        owner.close()
    return [row(name, *times) for name, times in found.items()]


def row(name: str, small: tuple[float, float], large: tuple[float, float]) -> dict[str, Any]:
    return {
        "what": f"list of requests: {name}",
        "ours": f"p95 {large[1]:.1f} ms at {SIZES[1]:,}",
        "other": f"p95 {small[1]:.1f} ms at {SIZES[0]:,}",
        "ratio": round(large[0] / small[0], 2),
        "goal": f"p95 at most {LIMIT_MS:g} ms, median at most {MORE_MS:g} ms more",
        "met": large[1] <= LIMIT_MS and large[0] - small[0] <= MORE_MS,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
