"""Tables and words of the people's room. Knows nothing of projects: a conflict of interest names its object as text."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Identity, Index, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tre.store import Base


class Role(StrEnum):
    administrator = "administrator"
    custodian = "custodian"  # of one organisation: a data controller
    researcher = "researcher"
    checker = "checker"  # output checker
    auditor = "auditor"  # sees everything, changes nothing


class Standing(StrEnum):
    """What expires and must be shown to hold before a workspace opens."""

    accreditation = "accreditation"
    training = "training"


class Organisation(Base):
    __tablename__ = "organisation"

    slug: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Person(Base):
    """`sealed_totp` is ciphertext of the secrets server; `totp_counter` the last time step that was used, so that
    no code works twice. Without a password an account is reached by an identity alone. `session_round` counts how
    often everything that was signed in as this person was ended: the Hub, which holds sessions of its own, ends those
    of an earlier round.

    `confirmed_until`: how long an identity provider's word holds for what this person has open, and
    `confirmation_note` what it said last if that was not yes. None where nothing rests on one. `sign_in_lost`: it said
    no, and only a new sign-in opens anything again.
    """

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    username: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    organisation_slug: Mapped[str] = mapped_column(ForeignKey("organisation.slug"))
    password_hash: Mapped[str | None] = mapped_column(Text)
    sealed_totp: Mapped[str | None] = mapped_column(Text)
    totp_counter: Mapped[int] = mapped_column(BigInteger, default=0)
    session_round: Mapped[int] = mapped_column(BigInteger, default=0)
    active: Mapped[bool] = mapped_column(default=True)
    confirmed_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    confirmation_note: Mapped[str] = mapped_column(Text, default="", server_default="")
    sign_in_lost: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    roles: Mapped[list[RoleHeld]] = relationship(back_populates="person", lazy="selectin")
    standings: Mapped[list[StandingHeld]] = relationship(lazy="selectin")


class RoleHeld(Base):
    """`organisation_slug` is set for custodians only: whose data they answer for."""

    __tablename__ = "role_held"
    __table_args__ = (UniqueConstraint("person_id", "role", "organisation_slug", postgresql_nulls_not_distinct=True),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    role: Mapped[str] = mapped_column(Text)
    organisation_slug: Mapped[str | None] = mapped_column(ForeignKey("organisation.slug"))
    granted_by: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    person: Mapped[Person] = relationship(back_populates="roles")


class StandingHeld(Base):
    __tablename__ = "standing_held"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text, default="")
    awarded_on: Mapped[date] = mapped_column(Date)
    expires_on: Mapped[date] = mapped_column(Date)
    recorded_by: Mapped[str] = mapped_column(Text)


class ConflictOfInterest(Base):
    """A declared interest: `object` is "project:<slug>" or "organisation:<slug>". Whoever has one does not decide
    on it.
    """

    __tablename__ = "conflict_of_interest"
    __table_args__ = (UniqueConstraint("person_id", "object"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    object: Mapped[str] = mapped_column(Text)
    statement: Mapped[str] = mapped_column(Text)
    declared_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class SignInFailure(Base):
    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("ix_sign_in_failure_username_at", "username", "at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    username: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class PersonIdentity(Base):
    """Who somebody is at an identity provider. Issuer and subject, exactly as its tokens spell them, and nothing else:
    an e-mail address or a user name is given to somebody else one day.
    """

    __tablename__ = "person_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    issuer: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    linked_by: Mapped[str] = mapped_column(Text)
    linked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    person: Mapped[Person] = relationship(lazy="joined")


class IdentityInvitation(Base):
    """One person may link one identity with one code, once. Only the SHA-256 of the code is kept."""

    __tablename__ = "identity_invitation"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    digest: Mapped[str] = mapped_column(Text, unique=True)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    redeemed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    person: Mapped[Person] = relationship(lazy="joined")


class TerminalSignIn(Base):
    """A terminal that waits for its owner to say yes in a browser; gone once it took its token."""

    __tablename__ = "terminal_sign_in"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    digest: Mapped[str] = mapped_column(Text, unique=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    scope: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class ApiToken(Base):
    """Only the SHA-256 of a token is kept. `scope` is "all" or "read"."""

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    digest: Mapped[str] = mapped_column(Text, unique=True)
    scope: Mapped[str] = mapped_column(Text)
    via: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    person: Mapped[Person] = relationship(lazy="joined")
