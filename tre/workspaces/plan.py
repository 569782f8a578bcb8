"""The launch plan: everything a runtime needs to run one workspace.

Decides the shape of the plan and what makes one acceptable (absolute paths, safe names, positive limits). Leaves to
others who may have one (`rules`), what goes into it (`service`) and how it is carried out (`runtime`, `sandbox`). It
holds secrets: `repr` never shows them, and it travels over descriptors only, never in argv or an environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from tre.errors import InvalidInput

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Shown beside the secrets; a secret of the same name would hide one.
RESERVED_NAMES = frozenset({"intake", "intake.sock", "postgresql", "secrets"})


@dataclass(frozen=True)
class Limits:
    """What one workspace may use. Bytes, counts, whole or fractional CPUs, seconds."""

    memory_bytes: int = 4 << 30
    processes: int = 512
    cpus: float = 2.0
    file_bytes: int = 4 << 30
    home_bytes: int = 20 << 30
    open_files: int = 4096
    max_age_seconds: int = 24 * 3600

    def __post_init__(self) -> None:
        _check_numbers(self, "limits")


@dataclass(frozen=True)
class DoorLimits:
    """What may pass one workspace's door, and when it ends for want of use. Bytes and seconds; see the policy."""

    idle_seconds: float = 4 * 3600
    busy_seconds: float = 16 * 3600
    grace_seconds: float = 60
    unreported_bytes: int = 8 << 20
    request_bytes: int = 64 << 20
    response_bytes: int = 128 << 20
    message_in_bytes: int = 16 << 20
    message_out_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        _check_numbers(self, "door", zero=frozenset({"busy_seconds"}))

    @classmethod
    def from_dict(cls, values: Any) -> DoorLimits:
        """Raises InvalidInput where one is missing, unknown or no number: no limit is ever without effect."""
        if not isinstance(values, dict) or values.keys() != {item.name for item in fields(cls)}:
            raise InvalidInput("the door's limits are not all there", field="door")
        return cls(**values)


def _check_numbers(limits: Limits | DoorLimits, name: str, zero: frozenset[str] = frozenset()) -> None:
    for item in fields(limits):
        value = getattr(limits, item.name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not (value > 0 or (value == 0 and item.name in zero)):
            raise InvalidInput(f"limit {item.name} must be a positive number", field=f"{name}.{item.name}")


@dataclass(frozen=True)
class DataMount:
    """A folder of project data on the host, shown read-only at `/data/<name>`."""

    name: str
    path: str


@dataclass(frozen=True)
class LaunchPlan:
    """One workspace, ready to run.

    `secrets` maps a file name to its text, shown in memory at `/run/tre/<name>`. `intake_socket` is a host path whose
    folder holds this workspace's intake socket and nothing else: the folder is shown, so that the intake may be
    restarted, and `/run/tre/intake.sock` leads to it. `postgres_socket_dir` is shown at `/run/tre/postgresql`.
    `base_url` is the path under which the Jupyter server answers, with a slash at both ends. `jupyter_token` and `door`
    are for the guard alone; the server is given `token_hash`. `nodes` are those of a cluster where it may run.
    """

    workspace_id: str
    person: str
    project: str
    home: str
    base_url: str
    intake_socket: str
    jupyter_token: str = field(repr=False)
    data: tuple[DataMount, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    postgres_socket_dir: str | None = None
    limits: Limits = field(default_factory=Limits)
    door: DoorLimits = field(default_factory=DoorLimits)
    nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("workspace_id", "person", "project"):
            _check(IDENTIFIER.fullmatch(getattr(self, name)), name, "letters, digits, hyphen, underscore, at most 64")
        for name in ("home", "intake_socket"):
            _check_path(getattr(self, name), name)
        if self.postgres_socket_dir is not None:
            _check_path(self.postgres_socket_dir, "postgres_socket_dir")
        _check(re.fullmatch(r"/([A-Za-z0-9@%._~-]+/)*", self.base_url), "base_url", "a path with a slash at both ends")
        _check(len(self.jupyter_token) >= 32, "jupyter_token", "at least 32 characters")
        self._check_names()

    def _check_names(self) -> None:
        for mount in self.data:
            _check(SECRET_NAME.fullmatch(mount.name), "data", "names of letters, digits, dot, hyphen and underscore")
            _check_path(mount.path, "data")
        _check(len({mount.name for mount in self.data}) == len(self.data), "data", "each name once")
        for name in self.secrets:
            _check(SECRET_NAME.fullmatch(name), "secrets", "plain file names")
            _check(name not in RESERVED_NAMES, "secrets", f"a name other than {sorted(RESERVED_NAMES)}")

    @property
    def token_hash(self) -> str:
        """SHA-256 in hexadecimal: by it the server knows the guard, and whoever reads it inside is not the guard."""
        return hashlib.sha256(self.jupyter_token.encode()).hexdigest()

    def to_json(self) -> str:
        """The plan as JSON text. It holds secrets: write it to a descriptor, never to a file or a log."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> LaunchPlan:
        """The plan from `to_json`'s text; raises InvalidInput that names the field and never quotes the text."""
        try:
            return cls.from_dict(json.loads(text))
        except ValueError as error:
            raise InvalidInput("the launch plan is not JSON", field="plan") from error

    @classmethod
    def from_dict(cls, values: Any) -> LaunchPlan:
        """The plan from plain dicts and lists, as the internal API answers them; unknown fields are refused."""
        if not isinstance(values, dict):
            raise InvalidInput("the launch plan must be an object", field="plan")
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InvalidInput(f"the launch plan has unknown fields {unknown}", field=unknown[0])
        parts = dict(values)
        try:
            parts["data"] = tuple(DataMount(**item) for item in parts.get("data", ()))
            parts["nodes"] = tuple(parts.get("nodes", ()))
            parts["limits"] = Limits(**parts.get("limits", {}))
            if "door" in parts:
                parts["door"] = DoorLimits.from_dict(parts["door"])
            return cls(**parts)
        except TypeError:
            # The original message may quote values, and values may be secrets.
            raise InvalidInput("the launch plan lacks a field or one has the wrong shape", field="plan") from None


def _check(good: object, name: str, rule: str) -> None:
    if not good:
        raise InvalidInput(f"the launch plan's {name} must be: {rule}", field=name)


def _check_path(path: str, name: str) -> None:
    pure = PurePosixPath(path)
    _check(pure.is_absolute() and ".." not in pure.parts and "\0" not in path, name, "an absolute path without '..'")
