"""A thousand projects and their people in the database, by the platform's own use cases.

Decides how large: each project has two researchers, each researcher some projects. What data they have is written as
rows (as for other tests): delivered as files, and already in the project's volume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyotp
from argon2 import PasswordHasher

from tests.fixtures.people import PASSWORD, People, Projects
from tests.fixtures.workspaces import grant_survey
from tre.audit import Actor
from tre.credentials import Secrets
from tre.credentials.uses import Sealer
from tre.data.model import Carriage, CarriageState, Delivery, Extract
from tre.people import passwords, service
from tre.people.model import Role
from tre.projects import service as projects
from tre.store import Database
from tre.workspaces.model import WorkspacePolicy

TEAM = 2


@dataclass
class Town:
    """`people` knows what everybody signs in with."""

    people: People
    slugs: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    joined: dict[str, set[str]] = field(default_factory=dict)

    def settle(self, count: int, researchers: int, told: Callable[[str], None]) -> None:
        self.names = [f"r{number}" for number in range(researchers)]
        for name in self.names:
            self.people.add(name, Role.researcher)
        told(f"{researchers} researchers")
        made = Projects(self.people)
        for number in range(count):
            team = self.team_of(number)
            made.approved(f"study-{number}", self.people.actor(team[0]), team=tuple(team[1:]))
            self.slugs.append(f"study-{number}")
        told(f"{count} projects")

    def team_of(self, number: int) -> list[str]:
        """Neighbours, so that everybody has about as many projects as anybody else."""
        return [self.names[(TEAM * number + place) % len(self.names)] for place in range(TEAM)]

    def deliver(self, slugs: Sequence[str]) -> None:
        """Files of the one dataset, in the projects' volumes."""
        for slug in slugs:
            grant_survey(self.people, slug, Delivery.files)
        now = self.people.clock()
        with self.people.db.transaction() as session:
            placed = {"state": CarriageState.placed, "state_since": now, "cleared_at": now}
            session.add_all(Carriage(extract_id=number, **placed) for (number,) in session.query(Extract.id))

    def join(self, slug: str) -> str:
        """Somebody joins the project who never was in it; their name."""
        there = self.joined.setdefault(slug, set(self.team_of(self.slugs.index(slug))))
        username = next(name for name in self.names if name not in there)
        projects.add_member(self.people.db, self.people.admin, slug, username=username)
        there.add(username)
        return username

    def set_limits(self, **numbers: float) -> None:
        with self.people.db.transaction() as session:
            session.query(WorkspacePolicy).update(numbers)


def found(db: Database, secrets: Secrets) -> Town:
    """An empty town with its first administrator. Passwords cost little: none of them protects anything."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    sealer = Sealer(secrets)
    made = service.bootstrap(db, sealer, username="ada", name="Ada", password=PASSWORD, organisation="uni")
    admin = Actor("ada", frozenset({Role.administrator}), "cli")
    return Town(People(db, sealer, db.clock, admin, {"ada": made.totp_secret}))


def code(town: Town, username: str) -> str:
    return pyotp.TOTP(town.people.secrets[username]).now()
