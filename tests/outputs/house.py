"""The people of the tests and short words for what they do, through the services only."""

import io
import json
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from tre.audit import Actor
from tre.audit import service as audit
from tre.outputs import access, checking, release, review, service
from tre.outputs.content.store import ContentStore
from tre.outputs.inspection.__main__ import answer
from tre.outputs.model import Choice
from tre.outputs.recomputed import Snapshot
from tre.outputs.recomputing.__main__ import answers
from tre.outputs.review import Ballot, Verdict, Voted
from tre.outputs.sandboxed import RunChecked
from tre.outputs.service import NewFile, Submission, Submitted
from tre.people.model import ConflictOfInterest, Organisation, Person, Role, RoleHeld, Standing, StandingHeld
from tre.projects import agreement
from tre.projects.model import Member, Project
from tre.store import Database

PEOPLE: dict[str, tuple[Role, ...]] = {
    "ada": (Role.researcher,),
    "ben": (Role.researcher, Role.checker),
    "old": (Role.researcher, Role.checker),
    "eve": (Role.researcher,),
    "cora": (Role.checker,),
    "carl": (Role.checker,),
    "cleo": (Role.checker,),
    "bias": (Role.checker,),
    "adam": (Role.administrator,),
    "audrey": (Role.auditor,),
    "spy": (Role.auditor, Role.checker),
}
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLEAN = b"sex,value\nF,30\nM,40\n"


def unwalled(
    *, stdin: bytes, argv: Sequence[str] = (), files: Mapping[str, Path] | None = None, watch: Any = None, **rest: Any
) -> bytes:
    """The sandbox's programs without its walls, for tests of what comes after; test_checking has the walls."""
    if "tre.outputs.recomputing" not in argv:
        return json.dumps(answer(io.BytesIO(stdin))).encode()
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        for name, path in (files or {}).items():
            (Path(folder) / name).symlink_to(path)
        answers(json.loads(stdin), out, Path(folder))
    watch(out.getvalue().encode())
    return b""


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Pen:
    """Signs as the secrets server does, with a key of the test's own."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def sign(self, message: bytes) -> str:
        return self.key.sign(message).hex()

    def public_key(self) -> str:
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return self.key.public_key().public_bytes(*form).decode()

    def verify(self, message: bytes, signature: str) -> bool:
        try:
            self.key.public_key().verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass
class House:
    db: Database
    store: ContentStore
    clock: Clock = field(default_factory=Clock)
    pen: Pen = field(default_factory=Pen)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    run: RunChecked = field(default_factory=lambda: unwalled)

    def actor(self, name: str, via: str = "cli") -> Actor:
        return Actor(name, frozenset(PEOPLE[name]), via)

    def furnish(self) -> None:
        with self.db.transaction() as session:
            for slug in ("uni", "else"):
                session.add(Organisation(slug=slug, name=slug, created_at=START))
            session.flush()
            people = {name: self._person(name, roles) for name, roles in PEOPLE.items()}
            session.add_all(people.values())
            session.flush()
            for slug, team in (("cost", ("ada", "ben", "old")), ("other", ("eve",))):
                session.add(self._project(slug, [people[name] for name in team]))
            interest = {"object": "project:cost", "statement": "my sister's", "declared_at": START}
            session.add(ConflictOfInterest(person_id=people["bias"].id, **interest))

    def _person(self, name: str, roles: tuple[Role, ...]) -> Person:
        dates = {"awarded_on": date(2026, 1, 1), "expires_on": date(2027, 1, 1)}
        return Person(
            username=name,
            name=name.title(),
            organisation_slug="uni" if name in ("ada", "ben") else "else",
            password_hash="!",
            sealed_totp="!",
            totp_counter=0,
            active=True,
            created_at=START,
            roles=[RoleHeld(role=role, granted_by="adam", granted_at=START) for role in roles],
            standings=[StandingHeld(kind=k, title="t", provider="p", recorded_by="adam", **dates) for k in Standing],
        )

    def _project(self, slug: str, team: list[Person]) -> Project:
        texts = ("title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")
        agreed = {"agreement": agreement.DIGEST, "agreed_at": START, "joined_at": START}
        members = [Member(person_id=person.id, **agreed) for person in team]
        for person, member in zip(team, members, strict=True):
            member.left_at = START if person.username == "old" else None
        return Project(
            slug=slug,
            end_date=date(2026, 12, 31),
            state="approved",
            state_since=START,
            state_reason="",
            proposed_by=team[0].username,
            proposed_at=START,
            members=members,
            **dict.fromkeys(texts, slug),
        )

    def file(self, name: str = "table.csv", content: bytes = CLEAN, kind: str = "table", **more: object) -> NewFile:
        return NewFile(name, self.store.put(content).digest, kind, **more)  # type: ignore[arg-type]

    def submission(self, *files: NewFile, **words: str) -> Submission:
        said = {"title": "First results", "context": "Counts by sex.", "controls": "Nothing below 10."} | words
        return Submission(files=files or (self.file(),), **said)

    def submit(self, *files: NewFile, who: str = "ada", request: int | None = None, **words: str) -> Submitted:
        actor = self.actor(who, "notebook")
        return service.submit(self.db, self.store, actor, "cost", self.submission(*files, **words), request=request)

    def desk(self) -> checking.CheckingDesk:
        return checking.CheckingDesk(self.store, self.run, lambda session, project: self.snapshots)

    def check(self) -> None:
        while checking.step(self.db, self.desk()):
            pass

    def in_review(self, *files: NewFile, **words: str) -> Submitted:
        """Submitted and through the checks."""
        sent = self.submit(*files, **words)
        self.check()
        return sent

    def vote(
        self,
        who: str,
        sent: Submitted,
        choice: Choice = Choice.approve,
        *,
        files: tuple[int, ...] = (1,),
        comment: str = "",
    ) -> Voted:
        said = comment or ("" if choice is Choice.approve else "Because.")
        ballots = [Ballot(file, choice, said) for file in files]
        return review.vote(self.db, self.actor(who), sent.request, version=sent.version, ballots=ballots)

    def decide(self, who: str, sent: Submitted, verdict: Verdict = Verdict.approve, reason: str = "") -> None:
        review.decide(
            self.db, self.actor(who), sent.request, version=sent.version, verdict=verdict, reason=reason or "Because."
        )

    def approved(self, *files: NewFile) -> Submitted:
        sent = self.in_review(*files)
        places = tuple(range(1, max(1, len(files)) + 1))
        for who in ("cora", "carl"):
            self.vote(who, sent, files=places)
        self.decide("carl", sent)
        return sent

    def releasing(self, *files: NewFile) -> Submitted:
        sent = self.approved(*files)
        release.release(self.db, self.actor("cora"), sent.request, version=sent.version)
        return sent

    def released(self, *files: NewFile) -> Submitted:
        sent = self.releasing(*files)
        assert release.step(self.db, self.release_desk())
        return sent

    def release_desk(self) -> release.ReleaseDesk:
        return release.ReleaseDesk(self.store, self.pen)

    def state(self, sent: Submitted) -> str:
        with self.db.read() as session:
            return access.get(session, sent.request).state

    def events(self, action: str = "") -> list[dict[str, Any]]:
        """The audit record, newest first."""
        with self.db.read() as session:
            return audit.events(session, action=action, limit=1000)

    def add_snapshot(self, folder: Path, name: str, columns: dict[str, list[object]], unit: str | None = None) -> None:
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        self.snapshots[name] = Snapshot(name, path, "5" * 64, unit)


def png(width: int = 20, height: int = 10, mode: str = "RGB", **save: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(out, "PNG", **save)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def with_chunk(picture: bytes, name: bytes, data: bytes) -> bytes:
    """The picture with one more chunk before its end."""
    return picture[:-12] + chunk(name, data) + picture[-12:]
