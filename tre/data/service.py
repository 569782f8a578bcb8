"""The use cases of the register: a custodian registers a dataset, measures it again, withdraws it; everybody reads.

What a measure becomes in the catalogue is decided by `catalogue`; decisions for projects are in `grants`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.data import catalogue, filters, profile, rules
from tre.data.model import Dataset, Sensitivity, SourceKind, Variable
from tre.data.sources import Places, check_source, opened
from tre.errors import Conflict, InvalidInput, NotFound
from tre.people.rules import check_slug, check_text
from tre.people.service import custodian_of
from tre.projects.service import Ask
from tre.settings import make_private_folder
from tre.store import Database

LONGEST_SCHEME = 30


@dataclass(frozen=True)
class Described:
    """What a custodian says about one column beside what is measured."""

    description: str = ""
    identifier: bool = False
    scheme: str = ""


@dataclass(frozen=True)
class NewDataset:
    """What a custodian fills in. `units` are the columns that together name the protected unit; none: each record is
    one. Columns that `described` leaves out are registered without a description.
    """

    slug: str
    title: str
    description: str
    organisation: str
    legal_basis: str
    terms: str
    sensitivity: Sensitivity
    source_kind: SourceKind
    source: dict[str, str]
    units: tuple[str, ...] = ()
    described: dict[str, Described] = field(default_factory=dict)


_TEXTS = ("title", "description", "legal_basis", "terms")


def register(db: Database, places: Places, actor: Actor, new: NewDataset) -> None:
    """Measures the source and puts it into the register. Raises `InvalidInput` by field, `Conflict`, `NotFound`."""
    with use_case(db, actor, "dataset.register", f"dataset:{new.slug}") as case:
        check_slug(new.slug, field="slug")
        rules.check_custodian(actor, new.organisation, custodian_of(case.session, actor.username))
        if find(case.session, new.slug):
            raise Conflict(f"There is a dataset {new.slug} already.", field="slug", hint="Choose another name.")
        dataset = _new_dataset(case, new)
        _measure(places, dataset, new.units, new.described)
        rules.check_described(new.sensitivity, dataset.variables)
        case.session.add(dataset)
        case.note(organisation=new.organisation, source=dataset.source, sensitivity=new.sensitivity)


def _new_dataset(case: UseCase, new: NewDataset) -> Dataset:
    texts = {name: check_text(getattr(new, name), field=name) for name in _TEXTS}
    return Dataset(
        slug=new.slug,
        organisation_slug=new.organisation,
        sensitivity=new.sensitivity,
        source_kind=new.source_kind,
        source=check_source(new.source_kind, new.source),
        registered_by=case.actor.username,
        registered_at=case.now,
        profiled_at=case.now,
        **texts,
    )


def profile_again(db: Database, places: Places, actor: Actor, slug: str) -> None:
    """Measures the source as it is now. Its columns must be those that were registered: grants name them."""
    with use_case(db, actor, "dataset.profile", f"dataset:{slug}") as case:
        dataset = get(case.session, slug, lock=True)
        rules.check_custodian(actor, dataset.organisation_slug, custodian_of(case.session, actor.username))
        rules.check_open(dataset)
        before = list(dataset.variables)
        described = {v.name: Described(v.description, v.identifier, v.scheme) for v in before}
        units = tuple(v.name for v in before if v.unit)
        fresh = Dataset(
            organisation_slug=dataset.organisation_slug, source_kind=dataset.source_kind, source=dataset.source
        )
        _measure(places, fresh, units, described, registered=[(v.name, v.kind) for v in before])
        for old, new in zip(before, fresh.variables, strict=True):
            for name in ("missing", "lowest", "highest", "categories", "categories_hidden"):
                setattr(old, name, getattr(new, name))
        dataset.row_count, dataset.unit_count, dataset.profiled_at = fresh.row_count, fresh.unit_count, case.now


def withdraw(db: Database, actor: Actor, slug: str, *, reason: str) -> None:
    """No further grant is given; standing grants go on until they end."""
    with use_case(db, actor, "dataset.withdraw", f"dataset:{slug}") as case:
        dataset = get(case.session, slug, lock=True)
        rules.check_custodian(actor, dataset.organisation_slug, custodian_of(case.session, actor.username))
        rules.check_open(dataset)
        dataset.withdrawn_at = case.now
        case.note(reason=check_text(reason, field="reason", longest=500))


def _measure(
    places: Places,
    dataset: Dataset,
    units: Sequence[str],
    described: dict[str, Described],
    registered: list[tuple[str, str]] | None = None,
) -> None:
    """Fills in the variables and counts, already as the catalogue may show them."""
    kind = SourceKind(dataset.source_kind)
    with work_folder(places) as work, opened(places, dataset.organisation_slug, kind, dataset.source, work) as source:
        if registered is not None and list(source.columns.items()) != registered:
            raise Conflict("The columns are no longer those registered.", hint="Register it under a new name.")
        for name, where in [(unit, "units") for unit in units] + [(name, "variables") for name in described]:
            if name not in source.columns:
                raise InvalidInput(f"The source has no column {name}.", field=where)
        hidden = [name for name in source.columns if name in units or described.get(name, Described()).identifier]
        measured = profile.measure(source, units, hidden, work)
        dataset.row_count = catalogue.shown_count(measured.records) if measured.units >= catalogue.SMALLEST else None
        dataset.unit_count = catalogue.shown_count(measured.units)
        dataset.variables = [
            _variable(number, name, column_kind, name in units, described.get(name, Described()), measured)
            for number, (name, column_kind) in enumerate(source.columns.items())
        ]


def _variable(position: int, name: str, kind: str, unit: bool, said: Described, measured: profile.Profile) -> Variable:
    shown = catalogue.shown(measured.variables[name], kind, protected=unit or said.identifier)
    return Variable(
        position=position,
        name=name,
        kind=kind,
        description=check_text(said.description, field=f"variables.{name}") if said.description else "",
        identifier=said.identifier,
        unit=unit,
        scheme=check_slug(said.scheme, field=f"variables.{name}.scheme", longest=LONGEST_SCHEME) if said.scheme else "",
        missing=shown.missing,
        lowest=shown.lowest,
        highest=shown.highest,
        categories=shown.categories,
        categories_hidden=shown.categories_hidden,
    )


@contextmanager
def work_folder(places: Places) -> Iterator[Path]:
    """A private folder for one step, gone at its end."""
    make_private_folder(places.extracts)
    folder = Path(tempfile.mkdtemp(prefix=".measure-", dir=places.extracts))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_asks(session: Session, asks: Sequence[Ask]) -> None:
    """Whether a proposal asks for what exists: for the edges, before the proposal is written. Raises `InvalidInput`."""
    for number, ask in enumerate(asks):
        dataset = find(session, ask.dataset)
        if dataset is None or dataset.withdrawn_at is not None:
            raise InvalidInput(f"There is no dataset {ask.dataset}.", field=f"datasets.{number}.dataset")
        known = {variable.name for variable in dataset.variables}
        if unknown := [name for name in ask.columns if name not in known]:
            raise InvalidInput(f"{ask.dataset} has no column {unknown[0]}.", field=f"datasets.{number}.columns")
        filters.check_rows(ask.rows, dataset.variables, field=f"datasets.{number}.rows")


def find(session: Session, slug: str, *, lock: bool = False) -> Dataset | None:
    query = select(Dataset).where(Dataset.slug == slug)
    return session.scalars(query.with_for_update() if lock else query).first()


def get(session: Session, slug: str, *, lock: bool = False) -> Dataset:
    """Raises `NotFound`."""
    dataset = find(session, slug, lock=lock)
    if dataset is None:
        raise NotFound(f"There is no dataset {slug}.", field="dataset", hint="`tre dataset list` shows all.")
    return dataset


def list_datasets(session: Session, *, organisation: str = "") -> Sequence[Dataset]:
    query = select(Dataset).order_by(Dataset.slug)
    if organisation:
        query = query.where(Dataset.organisation_slug == organisation)
    return session.scalars(query).all()
