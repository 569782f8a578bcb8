"""What WCAG 2.2 AA asks of markup and colours, on every page of the story; focus and reflow are in test_browser."""

import re
from pathlib import Path

import pytest
import tinycss2
from bs4 import Tag

from tests.web.scenes import furnish_story
from tests.web.site import Page, Site

STATIC = Path(__file__).parents[2] / "tre" / "web" / "static"
FIELDS = ("input", "select", "textarea")


def problems(page: Page) -> list[str]:
    """Everything that is wrong with the markup of one page."""
    soup = page.soup
    checks = (documents, landmarks, headings, ids, fields, names, tables, pictures, summary)
    return [problem for check in checks for problem in check(soup, page)]


def documents(soup: Tag, page: Page) -> list[str]:
    title = soup.title.get_text(strip=True) if soup.title else ""
    found = [] if title.endswith("– tre") and len(title) > 8 else [f"title {title!r}"]
    return found + ([] if soup.html.get("lang") == "en" else ["no language"])


def landmarks(soup: Tag, page: Page) -> list[str]:
    found = [f"{name}: {len(soup.find_all(name))}" for name in ("main", "h1") if len(soup.find_all(name)) != 1]
    skip = soup.select_one(".govuk-skip-link")
    if not skip or soup.find(id=skip["href"][1:]) is None or soup.body.find("a") is not skip:
        found.append("skip link")
    labels = [nav.get("aria-label") for nav in soup.find_all("nav")]
    if len(labels) != len(set(labels)) or None in labels:
        found.append(f"navigation labels {labels}")
    current = soup.select("[aria-current]")
    return found + (["several current sections"] if len(current) > 1 else [])


def headings(soup: Tag, page: Page) -> list[str]:
    found, before = [], 1
    for heading in soup.main.find_all(re.compile("^h[1-6]$")):
        level = int(heading.name[1])
        if heading.find_parent(attrs={"role": "alert"}) or heading.find_parent(class_="govuk-notification-banner"):
            continue
        if level > before + 1:
            found.append(f"h{level} after h{before}: {heading.get_text(strip=True)}")
        if not heading.get_text(strip=True):
            found.append("empty heading")
        before = level
    return found


def ids(soup: Tag, page: Page) -> list[str]:
    every = [str(tag["id"]) for tag in soup.find_all(id=True)]
    found = [f"id {name} twice" for name in sorted({name for name in every if every.count(name) > 1})]
    for attribute in ("aria-describedby", "aria-labelledby", "aria-controls", "for"):
        for tag in soup.find_all(attrs={attribute: True}):
            found += [f"{attribute} {name} leads nowhere" for name in tag[attribute].split() if name not in every]
    return found


def fields(soup: Tag, page: Page) -> list[str]:
    labelled = {label.get("for") for label in soup.find_all("label") if label.get_text(strip=True)}
    found = []
    for field in soup.find_all(FIELDS):
        if field.get("type") != "hidden" and field.get("id") not in labelled:
            found.append(f"no label: {field}")
    for group in soup.find_all("fieldset"):
        if not group.legend or not group.legend.get_text(strip=True):
            found.append("fieldset without legend")
    radios = {str(field["name"]) for field in soup.find_all("input", type="radio")}
    return found + [
        f"radios {name} in no fieldset"
        for name in radios
        if not soup.find(attrs={"name": name}).find_parent("fieldset")
    ]


def names(soup: Tag, page: Page) -> list[str]:
    """Links and buttons say what they do; one text does not lead to two places."""
    found = [f"no name: {tag}" for tag in soup.find_all(["a", "button"]) if not tag.get_text(strip=True)]
    targets: dict[str, set[str]] = {}
    for link in soup.main.find_all("a", href=True):
        targets.setdefault(link.get_text(" ", strip=True), set()).add(link["href"].split("?done")[0])
    return found + [f"{text!r} leads to {len(to)} places" for text, to in targets.items() if len(to) > 1]


def tables(soup: Tag, page: Page) -> list[str]:
    found = [f"table without caption: {table.get('class')}" for table in soup.find_all("table") if not table.caption]
    return found + [f"th without scope: {th}" for th in soup.find_all("th") if th.get("scope") not in ("col", "row")]


def pictures(soup: Tag, page: Page) -> list[str]:
    return [f"picture without words: {picture}" for picture in soup.find_all("img") if not picture.get("alt")]


def summary(soup: Tag, page: Page) -> list[str]:
    """The error summary leads to the fields, each field says its error, and the title begins with Error."""
    found = []
    for text, target in page.problems.items():
        if target and soup.find(id=target) is None:
            found.append(f"{text} leads to {target}, which is not there")
    for field in soup.find_all(FIELDS):
        described = [soup.find(id=name) for name in (field.get("aria-describedby") or "").split()]
        in_error = any("govuk-error-message" in (tag.get("class") or ()) for tag in described if tag)
        if "--error" in " ".join(field.get("class") or ()) and not in_error:
            found.append(f"error of {field.get('name')} is not announced")
    if page.problems and not soup.title.get_text(strip=True).startswith("Error: "):
        found.append("the title hides the error")
    return found


def test_every_page_is_well_made(site: Site, tmp_path: Path):
    pages = furnish_story(site, tmp_path)
    found = {}
    for name, (who, path, steps) in pages.items():
        visitor = site.visitor(who)
        page = visitor.open(path)
        if steps:
            page = visitor.submit(page, **({"choice-1": "reject"} if name == "review-errors" else {}))
            assert page.status == 422, name
        found[name] = problems(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(pages) >= 35


def colours() -> dict[str, str]:
    """The named colours of our own style sheet."""
    sheet = (STATIC / "tre.css").read_text()
    return dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", sheet))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TEXTS = [
    ("--tre-ink", "--tre-paper"),
    ("--tre-ink", "--tre-tint"),
    ("--tre-ink", "--tre-danger-tint"),
    ("--tre-ink", "--tre-warn-tint"),
    ("--tre-ink", "--tre-focus"),
    ("--tre-quiet", "--tre-paper"),
    ("--tre-quiet", "--tre-tint"),
    ("--tre-quiet", "--tre-danger-tint"),
    ("--tre-quiet", "--tre-warn-tint"),
    ("--tre-on-deep", "--tre-deep"),
    ("--tre-on-deep", "--tre-deep-hover"),
    ("--tre-link", "--tre-paper"),
    ("--tre-link", "--tre-tint"),
    ("--tre-danger", "--tre-paper"),
    ("--tre-danger-ink", "--tre-danger-tint"),
    ("--tre-warn-ink", "--tre-warn-tint"),
]


@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_texts_stand_out(text: str, ground: str):
    """WCAG 2.2 success criterion 1.4.3: 4.5 to 1."""
    assert contrast(colours()[text], colours()[ground]) >= 4.5


@pytest.mark.parametrize(
    ("mark", "ground"),
    [("--tre-deep", "--tre-paper"), ("--tre-danger", "--tre-danger-tint"), ("--tre-ink", "--tre-focus")],
)
def test_marks_and_focus_stand_out(mark: str, ground: str):
    """WCAG 2.2 success criteria 1.4.11 and 2.4.13: 3 to 1."""
    assert contrast(colours()[mark], colours()[ground]) >= 3


def test_tags_of_the_components_stand_out():
    """Each coloured tag of the compiled style sheet: text on its own ground."""
    found = 0
    for rule in tinycss2.parse_stylesheet((STATIC / "govuk.css").read_text(), True, True):
        if rule.type != "qualified-rule":
            continue
        selector = tinycss2.serialize(rule.prelude)
        values = {
            d.lower_name: tinycss2.serialize(d.value).strip()
            for d in tinycss2.parse_blocks_contents(rule.content)
            if d.type == "declaration"
        }
        if re.fullmatch(r"\.govuk-tag--\w+", selector.strip()) and "background-color" in values:
            found += 1
            assert contrast(long_form(values["color"]), long_form(values["background-color"])) >= 4.5, selector
    assert found >= 8


def long_form(colour: str) -> str:
    return "#" + "".join(sign * 2 for sign in colour[1:]) if len(colour) == 4 else colour


def test_no_style_takes_the_focus_away_and_nothing_is_loaded_from_elsewhere():
    for path in STATIC.glob("*.css"):
        sheet = path.read_text()
        assert "@import" not in sheet
        assert "url(" not in sheet, path
        assert "@font-face" not in sheet
        assert "GDS Transport" not in sheet, "that typeface is licensed for gov.uk only"
    assert not re.search(r":focus[^{]*{[^}]*outline: *(0|none)[^}]*}", (STATIC / "tre.css").read_text())
