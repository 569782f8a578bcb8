"""A story that fills the pages: projects in every state, datasets, requests in every turn."""

from pathlib import Path

from tests.web.desk import MENDED, SMALL, Desk, picture
from tests.web.site import Site
from tre.data import grants
from tre.data.grants import Terms
from tre.data.model import Delivery
from tre.outputs.model import Choice
from tre.projects import service as projects
from tre.projects.model import RefusalCode
from tre.projects.service import Ask

Pages = dict[str, tuple[str, str, list[str]]]


def furnish_story(site: Site, folder: Path) -> Pages:
    """What there is to see: name of a picture → who looks, where, and what they press first."""
    furnish_projects(site)
    numbers = furnish_requests(site, folder)
    verify = ["main form[action$=vote] button[type=submit]"]
    return {
        "requests": ("rita", "/tre/requests", []),
        "queue": ("cora", "/tre/review", []),
        "home-checker": ("cora", "/tre/", []),
        "review": ("cora", f"/tre/requests/{numbers['fresh']}", []),
        "review-errors": ("cora", f"/tre/requests/{numbers['fresh']}", ["input[value=reject]", *verify]),
        "request-returned": ("rita", f"/tre/requests/{numbers['returned']}", []),
        "request-returned-checker": ("cora", f"/tre/requests/{numbers['returned']}", []),
        "request-released": ("rita", f"/tre/requests/{numbers['released']}", []),
        "request-open": ("cora", f"/tre/requests/{numbers['open']}", []),
        "verdict": ("cora", f"/tre/requests/{numbers['open']}/decide", []),
        "compare": ("cora", f"/tre/requests/{numbers['second']}/compare", []),
        "file": ("cora", f"/tre/requests/{numbers['fresh']}/files/1", []),
        "recall": ("rita", f"/tre/requests/{numbers['released']}/recall", []),
        "register": ("", "/tre/register", []),
        "landing": ("", "/tre/", []),
        "home-researcher": ("rita", "/tre/", []),
        "home-administrator": ("ada", "/tre/", []),
        "home-custodian": ("carol", "/tre/", []),
        "me": ("rita", "/tre/me", []),
        "password": ("rita", "/tre/me/password", []),
        "terminal": ("rita", "/tre/terminal", []),
        "terminal-errors": ("rita", "/tre/terminal", ["main button[type=submit]"]),
        "password-errors": ("rita", "/tre/me/password", ["main button[type=submit]"]),
        "projects": ("ada", "/tre/projects", []),
        "project": ("rita", "/tre/projects/care-costs", []),
        "project-refused": ("rita", "/tre/projects/too-much", []),
        "project-proposed": ("ada", "/tre/projects/waiting-lists", []),
        "agreement": ("rita", "/tre/projects/frailty/agreement", []),
        "decide": ("ada", "/tre/projects/waiting-lists/decide", []),
        "decide-errors": ("ada", "/tre/projects/waiting-lists/decide", ["main button[type=submit]"]),
        "grant": ("carol", "/tre/projects/waiting-lists/datasets/visits", []),
        "suspend": ("ada", "/tre/projects/care-costs/suspend", []),
        "members": ("ada", "/tre/projects/care-costs/members", []),
        "decisions": ("carol", "/tre/decisions", []),
        "datasets": ("rita", "/tre/datasets", []),
        "dataset": ("rita", "/tre/datasets/visits", []),
        "propose-datasets": ("rita", "/tre/propose", []),
        "propose": ("rita", "/tre/propose?dataset=visits", []),
        "propose-errors": ("rita", "/tre/propose?dataset=visits", ["main button[type=submit]"]),
        "not-allowed": ("rob", "/tre/projects/care-costs", []),
        "not-found": ("rita", "/tre/nothing", []),
    }


def furnish_projects(site: Site) -> None:
    db, carol, ada = site.platform.db, site.actors["carol"], site.actors["ada"]
    site.register("admissions", "Admissions to hospital", "Every admission of insured people, 2018 to 2020.")
    clock = site.people.clock
    site.project("care-costs", team=("rob",))
    clock.advance(hours=3)
    until = clock().date().replace(year=clock().year + 1, month=2)
    terms = Terms(until, Delivery.both, ("person", "age", "cost"), ("age",))
    grants.give(db, carol, project="care-costs", dataset="visits", terms=terms, reason="Minimal and useful.")
    site.project("too-much", approve=False, asks=(Ask("visits", ("nhs", "person", "age", "sex", "cost", "seen")),))
    reason = "The names of people are not needed to compare costs."
    code = RefusalCode.not_minimal
    projects.refuse(db, ada, "too-much", code=code, reason=reason, would_change="Leave out the NHS number and the day.")
    site.project("frailty", agreed=False, asks=(Ask("admissions", ("person", "age")), Ask("visits", ("person",))))
    grants.refuse(
        db,
        carol,
        project="frailty",
        dataset="visits",
        code=RefusalCode.risk_too_high,
        reason="Visits by day would show single people.",
        would_change="Ask for months instead of days.",
    )
    clock.advance(days=2)
    rows = {"column": "age", "op": ">=", "value": 18}
    site.project("waiting-lists", approve=False, asks=(Ask("visits", ("person", "age", "sex"), rows),))
    clock.advance(hours=5)


def furnish_requests(site: Site, folder: Path) -> dict[str, int]:
    """One request in each turn, by name."""
    desk, clock = Desk(site), site.people.clock
    spec = desk.snapshot(folder).to_dict()
    long = b"sex,region,people\n" + b"".join(b"F,ward %d,%d\n" % (n, 40 + n * 7 % 300) for n in range(160))
    found = {"released": desk.release(desk.submit(desk.file("totals.csv"), title="Visits by sex"))}
    clock.advance(hours=20)
    leaky = desk.file("by-region.csv", SMALL, spec=spec, dataset="visits", title="Visits by sex and region")
    found["returned"] = desk.submit(leaky, title="Visits by region")
    found["second"] = desk.submit(leaky, desk.file("note.txt", b"Rounded to 5.", "text"), title="Regions again")
    mended = desk.file("by-region.csv", MENDED, title="Visits by sex and region")
    words = "Suppressed one cell and its neighbour."
    desk.submit(mended, desk.file("note.txt", b"Not rounded.", "text"), request=found["second"], controls=words)
    found["open"] = desk.submit(desk.file(), desk.file("plot.png", picture(), "figure"), title="Costs by age")
    desk.vote(found["open"], "cora", files=2)
    desk.vote(found["open"], "carl", files=2, choice=Choice.request_changes, comment="The axis has no label.")
    clock.advance(hours=2)
    found["fresh"] = desk.submit(
        desk.file("wards.csv", long, title="People by ward"),
        desk.file("loose.csv", SMALL, title="People by region"),
        desk.file("plot.png", picture(), "figure", title="Costs by age, as a figure"),
        title="Results for the second paper",
    )
    clock.advance(hours=1)
    return found
