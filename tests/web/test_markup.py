"""Script that is stored or reflected is shown as text, and no address leads away from our own pages."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.desk import Desk
from tests.web.site import Site
from tre.people import service as people
from tre.projects.service import Ask
from tre.web.sign_in import HOME, safe_next

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}</textarea>"
FILE_EVIL = b'name,"<img src=x onerror=alert(3)>"\n"<script>alert(4)</script>",30\n'
MARKED_UP = b"<u>name</u>,people\n<b onclick=alert(5)>x</b>,30\n"
RAW = re.compile(r"<script|<img src=x|<u>|<b[ >]")


def whole_site(site: Site) -> Iterator[tuple[str, str]]:
    """Somebody writes script wherever text goes; then everybody reads every page where it may show."""
    site.register("evil", EVIL, EVIL)
    site.project("evil", asks=(Ask("evil", ("age",), {"column": "age", "op": ">=", "value": 1}),))
    desk = Desk(site)
    file = desk.file("evil.csv", FILE_EVIL, title="<script>t</script>", context=EVIL, controls=EVIL)
    text = desk.file("evil.txt", EVIL.encode(), "text")
    request = desk.submit(file, text, project="evil", title="<script>x</script>", context=EVIL, controls=EVIL)
    people.declare_conflict(site.platform.db, site.actors["cleo"], object="project:other", statement=EVIL)
    cora = site.visitor("cora")
    page = cora.open(f"/tre/requests/{request}")
    number = len(page.soup.main.find_all("form", method="post")) - 1
    cora.submit(page, number, text=EVIL)
    # The checks refuse files that look like a page; markup that they let pass must be shown as text.
    quiet = desk.submit(desk.file("quiet.csv", MARKED_UP), project="evil", title=EVIL[:90])
    seen = cora.open(f"/tre/requests/{quiet}")
    cora.submit(seen, 0, **{"choice-1": "reject", "comment-1": EVIL})
    paths = {
        "rita": ("/tre/", "/tre/projects", "/tre/projects/evil", "/tre/datasets", "/tre/datasets/evil", "/tre/requests",
                 "/tre/propose", "/tre/propose?dataset=evil", f"/tre/requests/{request}", "/tre/me"),
        "cora": ("/tre/review", f"/tre/requests/{quiet}", f"/tre/requests/{request}",
                 f"/tre/requests/{quiet}/files/1",
                 f"/tre/requests/{request}/files/1", f"/tre/requests/{request}/files/2", "/tre/"),
        "ada": ("/tre/projects/evil", "/tre/projects/evil/suspend", "/tre/projects/evil/members"),
        "carol": ("/tre/decisions", "/tre/projects/evil/datasets/evil"),
        "": ("/tre/register",),
    }  # fmt: skip
    for who, mine in paths.items():
        for path in mine:
            yield who, path


def test_stored_script_is_shown_as_text_everywhere(site: Site):
    shown = 0
    for who, path in whole_site(site):
        page = site.visitor(who).open(path)
        assert page.status == 200, (who, path, page.words)
        assert not RAW.search(page.text), (who, path)
        for tag in page.soup.find_all(True):
            assert not [name for name in tag.attrs if name.startswith("on") or name == "style"], (path, tag)
        assert "49" not in page.words or "{{7*7}}" in page.words
        shown += "<script>" in page.words
    assert shown >= 12


def test_reflected_script_is_shown_as_text(care: Site):
    ada, rita = care.visitor("ada"), care.visitor("rita")
    for page in (
        ada.open("/tre/datasets?q=%3Cscript%3E%22"),
        ada.open("/tre/requests?search=%3Cscript%3E%22x"),
        ada.open("/tre/projects/%3Cscript%3E"),
        ada.open("/tre/datasets/%3Cscript%3E"),
        ada.open("/tre/projects?done=%3Cscript%3E"),
        ada.submit(ada.open("/tre/projects/care-costs/members"), username=EVIL),
        rita.submit(rita.open("/tre/propose?dataset=visits"), title=EVIL, purpose=EVIL, team=EVIL),
    ):
        assert not re.search(r"<script|<img src=x", page.text)


@given(st.text(max_size=60) | st.from_regex(r"/tre/[/\\.:@a-z%?=#]{0,30}", fullmatch=True))
def test_the_page_to_open_afterwards_is_always_ours(wanted: str):
    found = safe_next(wanted)
    assert found == HOME or (
        found == wanted and re.fullmatch(r"/tre/[A-Za-z0-9._~%/-]*(\?[A-Za-z0-9._~%&=+-]*)?", found)
    )
    assert "//" not in found
    assert "\\" not in found


@pytest.mark.parametrize(
    "wanted",
    [
        "http://evil.example/", "//evil.example", "/\\evil.example", "/tre//evil.example", "/tre/../evil",
        "/hub/logout", "/tre/sign-out", "/tre/sign-in", "/tre/oauth_callback?code=x", "javascript:alert(1)",
        "/tre/\r\nSet-Cookie: a=b", "/tre/@evil.example", "/treason", "", "/tre/" + "a" * 600, "/tre/x\n",
    ],
)  # fmt: skip
def test_open_redirects(wanted: str):
    assert safe_next(wanted) == HOME
