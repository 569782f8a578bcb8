"""What the program in the sandbox says of hostile, broken and mislabelled files."""

import json
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.outputs.house import CLEAN, chunk, png, with_chunk
from tre.outputs.inspection.__main__ import answer, inspect
from tre.outputs.inspection.kinds import ENDINGS, KINDS, PNG
from tre.outputs.sandboxed import Seen


def found(name: str, kind: str, content: bytes) -> set[tuple[str, str]]:
    return {(f["rule"], f["severity"]) for f in inspect(name, kind, content, max_rows=5000)["findings"]}


def indexed() -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").convert("P").save(out, "PNG", transparency=3)
    return out.getvalue()


def longer_pixels() -> bytes:
    """A picture whose compressed lines go on behind the last one."""
    plain = png(4, 4, "L")
    lines = zlib.decompress(plain[plain.index(b"IDAT") + 4 : -16])
    return plain[:33] + chunk(b"IDAT", zlib.compress(lines + b"the data")) + chunk(b"IEND", b"")


def behind_the_stream() -> bytes:
    plain = png(4, 4, "L")
    packed = plain[plain.index(b"IDAT") + 4 : -16]
    return plain[:33] + chunk(b"IDAT", packed + b"the data") + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A picture that says to be small and unpacks to a gigabyte."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(400)) + packer.flush()
    return png(4, 4, "L")[:33] + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def huge() -> bytes:
    head = (100_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "kind", "content", "rule"),
    [
        ("plot.png", "figure", png() + b"sex,age\nF,12\n", "trailing_data"),
        ("plot.png", "figure", longer_pixels(), "trailing_data"),
        ("plot.png", "figure", behind_the_stream(), "trailing_data"),
        ("plot.png", "figure", bomb(), "unreadable"),
        ("plot.png", "figure", huge(), "unreadable"),
        ("plot.png", "figure", with_chunk(png(), b"tEXt", b"Comment\0all the data"), "image_metadata"),
        (
            "plot.png",
            "figure",
            with_chunk(png(), b"tEXt", b"Software\0Matplotlib version3.1, all the data"),
            "image_metadata",
        ),
        ("plot.png", "figure", with_chunk(png(), b"zTXt", b"Comment\0\0" + zlib.compress(b"data")), "image_metadata"),
        ("plot.png", "figure", with_chunk(png(), b"eXIf", b"II*\0"), "image_metadata"),
        ("plot.png", "figure", with_chunk(png(), b"fdAT", b"another frame"), "unreadable"),
        ("plot.png", "figure", with_chunk(png(), b"pHYs", b"x" * 4000), "image_metadata"),
        ("plot.png", "figure", png()[:-30], "unreadable"),
        ("plot.png", "figure", png().replace(b"IDAT", b"IDAX"), "unreadable"),
        ("plot.png", "figure", PNG, "unreadable"),
        ("plot.png", "figure", CLEAN, "file_name"),
        ("plot.csv", "figure", png(), "file_name"),
        ("table.csv", "table", png(), "file_name"),
        ("table.csv", "figure", CLEAN, "file_kind"),
        ("notes.txt", "table", CLEAN, "file_name"),
        ("table.csv", "table", b"", "empty_file"),
        ("table.csv", "table", b" \n ", "empty_file"),
        ("table.csv", "table", CLEAN.decode().encode("utf-16"), "file_type"),
        ("table.csv", "table", b"sex,value\nF\xfcr,30\n", "encoding"),
        ("table.csv", "table", b"a,b\n1\n", "unreadable"),
        ("table.csv", "table", b"a,b\n", "unreadable"),
        ("table.csv", "table", b'a,b\n"1,2\n', "unreadable"),
        ("table.csv", "table", b"a\n" + b"1\n" * 6000, "too_many_rows"),
        ("table.csv", "table", (b"a," * 600 + b"a\n") * 2, "too_many_cells"),
        ("table.csv", "table", b'a\n"' + b"x" * 100_000 + b'"\n', "unreadable"),
        ("table.csv", "table", b"a,b\n" + "\u202eabc".encode() + b",1\n", "hidden_text"),
        ("table.csv", "table", b'a,b\n"x\x07",1\n', "hidden_text"),
        ("plot.svg", "figure", b"<?xml version='1.0'?><svg></svg>", "file_type"),
        ("plot.png", "figure", b"<svg onload='x'/>", "file_type"),
        ("page.txt", "text", b"<!DOCTYPE html><html></html>", "file_type"),
        ("notes.md", "text", b"Hello <script>alert(1)</script>", "file_type"),
        ("model.txt", "model", b"\x80\x04\x95\x00", "file_type"),
        ("model.txt", "model", b"cos\nsystem\n(S'ls'\ntR.", "file_type"),
        ("table.csv", "table", b"PAR1xxxxPAR1", "file_type"),
        ("table.csv", "table", b"PK\x03\x04rest", "file_type"),
        ("table.csv", "table", b"\x1f\x8b\x08rest", "file_type"),
        ("table.csv", "table", b"x" * 257 + b"ustar\x00", "file_type"),
        ("plot.png", "figure", b"\xff\xd8\xff\xe0", "file_type"),
        ("plot.png", "figure", b"BM\x00\x01", "file_type"),
        ("notes.json", "text", b'{"cells": [], "nbformat": 4}', "file_type"),
        ("notes.json", "text", b'{"data": [1], "layout": {}}', "file_type"),
        ("notes.json", "text", b"[" * 5000 + b"]" * 5000, "file_name"),
        ("notes.json", "text", json.dumps(list(range(3000))).encode(), "numbers_in_text"),
        ("notes.json", "text", b"[" * 50 + b"]" * 50, "unreadable"),
        ("notes.txt", "text", "zero\u200bwidth".encode(), "hidden_text"),
        ("notes.txt", "text", b"A" * 400, "encoded_data"),
        ("notes.txt", "text", b"line\n" * 6000, "too_long"),
    ],
)
def test_what_cannot_be_reviewed_is_blocked(name: str, kind: str, content: bytes, rule: str) -> None:
    assert (rule, "fail") in found(name, kind, content)


@pytest.mark.parametrize(
    ("name", "kind", "content", "expected"),
    [
        ("table.csv", "table", CLEAN, set()),
        ("table.csv", "table", b"\xef\xbb\xbf" + CLEAN, set()),
        ("table.csv", "table", b"MM,BM\nBM,20\n", set()),
        ("table.csv", "table", b"sex,value\n=cmd(),30\n", {("formula", "review")}),
        ("table.csv", "table", b"sex,value\nF,-3.5\nM,-\n", set()),
        ("table.csv", "table", b"id,v\n" + b"".join(b"%d,1\n" % i for i in range(60)), {("row_level", "review")}),
        ("plot.png", "figure", png(), set()),
        ("plot.png", "figure", png(mode="RGBA"), set()),
        ("plot.png", "figure", indexed(), {("transparency", "review")}),
        ("plot.png", "figure", with_chunk(png(), b"tEXt", b"Software\0Matplotlib version3.10.1, https://matplotlib.org/"),
         {("image_metadata", "note")}),
        ("notes.md", "text", b"# Results\n\nCosts rise.\n", set()),
        ("notes.txt", "text", b"BMI rises.\n", set()),
        ("model.json", "model", b'{"intercept": 1.5, "age": 0.2}', set()),
        ("notes.txt", "text", b"Ask ada@example.org", {("mail_address", "review")}),
        ("notes.txt", "text", b"Patient 9434765919", {("long_number", "review")}),
        ("notes.txt", "text", b"a 1 2 3\n" * 12, {("numbers_in_text", "review")}),
    ],
)  # fmt: skip
def test_what_can_be_reviewed_is_let_through(
    name: str, kind: str, content: bytes, expected: set[tuple[str, str]]
) -> None:
    assert found(name, kind, content) == expected


def test_what_matplotlib_writes_by_default_passes() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    out = BytesIO()
    figure, axis = pyplot.subplots(figsize=(2, 1))
    axis.plot([1, 2], [2, 1])
    figure.savefig(out)
    pyplot.close(figure)
    assert found("plot.png", "figure", out.getvalue()) <= {("image_metadata", "note")}


def test_a_preview_shows_the_same_pixels_and_nothing_else() -> None:
    given = with_chunk(png(30, 20), b"tEXt", b"Comment\0secret")
    import base64

    drawn = base64.b64decode(inspect("plot.png", "figure", given, max_rows=10)["preview"])
    assert b"secret" not in drawn
    with Image.open(BytesIO(drawn)) as ours, Image.open(BytesIO(given)) as theirs:
        assert ours.tobytes() == theirs.convert("RGB").tobytes()


@given(st.binary(max_size=300), st.sampled_from(sorted(KINDS)), st.sampled_from(["a.csv", "a.png", "a.txt", "a.json"]))
def test_no_bytes_make_it_fall(content: bytes, kind: str, name: str) -> None:
    Seen.model_validate(inspect(name, kind, content, max_rows=100))


@given(st.binary(max_size=60), st.integers(0, 400))
def test_no_damage_to_a_picture_makes_it_fall(damage: bytes, place: int) -> None:
    whole = png()
    seen = Seen.model_validate(inspect("a.png", "figure", whole[:place] + damage + whole[place:], max_rows=10))
    assert seen.findings or damage == b"" or place > len(whole)


@given(
    st.lists(st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=8), min_size=2, max_size=2),
             min_size=1, max_size=20)
)  # fmt: skip
def test_a_table_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out).writerows([["k", "v"], *rows])
    assert inspect("t.csv", "table", out.getvalue().encode(), max_rows=100)["grid"] == [["k", "v"], *rows]


def test_many_files_keep_their_order_and_bytes() -> None:
    files = [("a.csv", "table", CLEAN), ("b.txt", "text", b"hello\n{}"), ("c.png", "figure", png())]
    header = {"max_rows": 10, "files": [{"name": n, "kind": k, "size": len(c), "record": ""} for n, k, c in files]}
    said = answer(BytesIO(json.dumps(header).encode() + b"\n" + b"".join(c for _, _, c in files)))
    assert [file["media_type"] for file in said["files"]] == ["text/csv", "text/plain", "image/png"]
    assert said["files"][1]["text"] == "hello\n{}"


def test_every_kind_has_endings() -> None:
    assert {media for kinds in KINDS.values() for media in kinds} == set(ENDINGS)
