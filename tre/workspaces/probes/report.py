"""What the probes are told and what they answer: workspaces, surroundings, verdicts.

Decides shapes only. `Report.ok` is true only if there are results and every one says refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tre.workspaces.plan import LaunchPlan, Limits

Verdict = Literal["refused", "reached", "could_not_run"]


@dataclass(frozen=True)
class Subject:
    """A running workspace as the probes see it: its state for the runtime, and what lies where on the host.

    `intake`, `database`: whether it has them; without, what is aimed at them is left out. `expired_token`: one of its
    own for the intake. `own_roles`: those that its database login may take.
    """

    state: Mapping[str, Any]
    workspace_id: str
    home: str
    intake_socket: str
    data: Mapping[str, str]
    limits: Limits
    intake: bool = False
    database: bool = False
    expired_token: str = field(default="", repr=False)
    own_roles: Sequence[str] = ()

    @classmethod
    def of(cls, state: Mapping[str, Any], plan: LaunchPlan) -> Subject:
        """From a launch plan; its secrets are not kept."""
        data = {mount.name: mount.path for mount in plan.data}
        return cls(dict(state), plan.workspace_id, plan.home, plan.intake_socket, data, plan.limits)


@dataclass(frozen=True)
class Surroundings:
    """What else lies around and must not be reached.

    `sockets`, `services`: label → Unix path, label → (host, port) of the platform's own servers. `platform_folders`:
    state and run folders. `outside`, `resolver`, `metadata`: (host, port); nothing is sent there unless a wall is
    missing. `public_key`: of the intake.
    """

    sockets: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    platform_folders: Sequence[str] = ()
    outside: Sequence[tuple[str, int]] = (("203.0.113.1", 80),)
    outside_udp: Sequence[tuple[str, int]] = (("203.0.113.1", 53),)
    resolver: Sequence[tuple[str, int]] = (("203.0.113.1", 53),)
    metadata: Sequence[tuple[str, int]] = (("169.254.169.254", 80),)
    public_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Result:
    """One verdict: from inside which workspace, which wall, what was tried, and what came of it."""

    name: str
    workspace_id: str
    wall: str
    tries: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True)
class Report:
    """All verdicts; `left_out` says in words what a workspace does not have, so that nothing was aimed at it."""

    results: tuple[Result, ...]
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything was tried and refused."""
        return bool(self.results) and all(result.verdict == "refused" for result in self.results)

    def named(self, verdict: Verdict) -> list[str]:
        """Names of attempts with that verdict, each once."""
        return sorted({result.name for result in self.results if result.verdict == verdict})

    def beside(self, other: Report) -> Report:
        """Both as one."""
        return Report((*self.results, *other.results), (*self.left_out, *other.left_out))

    def record(self) -> dict[str, Any]:
        """What the audit record keeps of it."""
        return {
            "ok": self.ok,
            "left_out": list(self.left_out),
            "refused": len(self.named("refused")),
            "reached": self.named("reached"),
            "could_not_run": self.named("could_not_run"),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Report:
        """From what `to_dict` gave."""
        return cls(tuple(Result(**each) for each in found["probes"]), tuple(found["left_out"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"ok": self.ok, "left_out": list(self.left_out), "probes": [asdict(result) for result in self.results]}
