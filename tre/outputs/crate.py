"""The release crate: Five Safes RO-Crate 0.4 (https://w3id.org/5s-crate/0.4) with the disclosure record.

Pure functions of plain values. Two decisions: reviewers are numbers (the audit record says who they are; a crate leaves
the house), and findings appear as rule and count, never with the numbers that they rest on. An interactive analysis has
no workflow crate to point to, so `mainEntity` describes it in words.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tre.errors import Broken
from tre.outputs.bag import build_bag
from tre.store.canonical import canonical_json, digest_of

PROFILE = "https://w3id.org/5s-crate/0.4"
METADATA = "https://w3id.org/ro/crate/1.2-DRAFT"
SHP = "https://w3id.org/shp#"
SHA512 = "https://www.iana.org/assignments/named-information#sha-512"
DONE = "http://schema.org/CompletedActionStatus"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PROFILE)
FORMAT = "tre-release/1"
Entity = dict[str, Any]


@dataclass(frozen=True)
class CrateFile:
    """`findings` counts what the checks said by rule and severity. `spec` is the table's, `snapshot` the data's
    digest.
    """

    name: str
    title: str
    kind: str
    media_type: str
    sha256: str
    evidence: str
    dataset: str | None
    snapshot: str | None
    spec: dict[str, Any] | None
    findings: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Project:
    slug: str
    title: str


@dataclass(frozen=True)
class Person:
    username: str
    name: str
    organisation: str


@dataclass(frozen=True)
class Released:
    """Everything that a crate says. `checks` is by what the files were judged; `reviews` number and moment of each."""

    request: int
    version: int
    title: str
    context: str
    controls: str
    project: Project
    author: Person
    files: tuple[CrateFile, ...]
    checks: dict[str, Any]
    checked_at: datetime
    reviews: tuple[tuple[int, datetime], ...]
    decided_at: datetime
    released_at: datetime

    @property
    def crate_id(self) -> str:
        """The same content gives the same identifier, so that a repeated step builds the same bytes."""
        said = {"request": self.request, "version": self.version, "files": [file.sha256 for file in self.files]}
        return str(uuid.uuid5(NAMESPACE, f"{digest_of(said)} {instant(self.released_at)}"))


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def build_crate(released: Released, contents: Mapping[str, bytes]) -> bytes:
    """The zip. `contents` maps each file's name to its bytes."""
    payload = {f"outputs/{file.name}": contents[file.name] for file in released.files}
    payload["disclosure/record.json"] = pretty(disclosure_record(released))
    payload["ro-crate-metadata.json"] = pretty(metadata(released))
    info = {
        "Bag-Software-Agent": "tre",
        "Bagging-Date": instant(released.released_at)[:10],
        "External-Identifier": f"urn:uuid:{released.crate_id}",
    }
    return build_bag(f"release-{released.request}-{released.version}", payload, info)


def pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def disclosure_record(released: Released) -> dict[str, Any]:
    """By which rules, with which tools, on which evidence and by how many people each file was judged."""
    files = []
    for file in released.files:
        findings = [{"rule": rule, "severity": severity, "count": count} for rule, severity, count in file.findings]
        files.append({**asdict(file), "findings": findings})
    return {
        "format": "tre-disclosure-record/1",
        "request": released.request,
        "version": released.version,
        "context": released.context,
        "controls": released.controls,
        "checks": {**released.checks, "at": instant(released.checked_at)},
        "files": files,
        "reviews": [
            {"reviewer": f"checker {number}", "completed_at": instant(at), "decision": "approved"}
            for number, at in released.reviews
        ],
        "decided_at": instant(released.decided_at),
    }


def metadata(released: Released) -> dict[str, Any]:
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": METADATA},
        },
        _root(released),
        {"@id": PROFILE, "@type": "Profile", "name": "Five Safes RO-Crate profile"},
        {"@id": SHA512, "@type": "DefinedTerm", "name": "sha-512 algorithm"},
        *_files(released),
        *_work(released),
        *_assessments(released),
        *_agents(released),
    ]
    return {"@context": f"{METADATA}/context", "@graph": graph}


def file_id(name: str) -> str:
    return "outputs/" + quote(name)


def _ids(entities: Sequence[Entity]) -> list[dict[str, str]]:
    return [{"@id": str(entity["@id"])} for entity in entities]


def _root(released: Released) -> Entity:
    actions = [entity for entity in (*_work(released), *_assessments(released)) if entity["@type"].endswith("Action")]
    return {
        "@id": "./",
        "@type": "Dataset",
        "identifier": f"urn:uuid:{released.crate_id}",
        "name": released.title,
        "description": released.context,
        "conformsTo": {"@id": PROFILE},
        "datePublished": instant(released.released_at),
        "hasPart": _ids(_files(released)),
        "mainEntity": {"@id": "#analysis"},
        "mentions": _ids(actions),
        "sourceOrganization": {"@id": "#project"},
        "publisher": {"@id": "#tre"},
        "license": {"@id": "#terms"},
    }


def _files(released: Released) -> list[Entity]:
    files = [
        {
            "@id": file_id(file.name),
            "@type": "File",
            "name": file.title,
            "encodingFormat": file.media_type,
            "sha256": file.sha256,
        }
        for file in released.files
    ]
    record = {"@id": "disclosure/record.json", "@type": "File", "name": "Disclosure record"}
    return [*files, {**record, "encodingFormat": "application/json"}]


def _work(released: Released) -> list[Entity]:
    return [
        {
            "@id": "#analysis",
            "@type": "Dataset",
            "name": "Interactive analysis inside the project's workspace",
            "description": released.controls,
        },
        {
            "@id": f"#request-{released.request}-{released.version}",
            "@type": "CreateAction",
            "name": f"Release request {released.request}, version {released.version}",
            "actionStatus": DONE,
            "agent": {"@id": "#author"},
            "instrument": {"@id": "#analysis"},
            "object": [{"@id": "#project"}],
            "result": [{"@id": file_id(file.name)} for file in released.files],
            "endTime": instant(released.released_at),
        },
    ]


def _assessments(released: Released) -> list[Entity]:
    reviews = [
        _assess(
            f"#review-{number}",
            "DisclosureCheck",
            f"Blind review by checker {number}: approved",
            f"#checker-{number}",
            at,
        )
        for number, at in released.reviews
    ]
    return [
        _assess("#checks", "ValidationCheck", "Automated disclosure checks: passed", "#platform", released.checked_at),
        *reviews,
        _assess("#signoff", "SignOff", "Decision on the release: approved", "#tre", released.decided_at),
        {
            **_assess("#bagit", "GenerateCheckValue", "BagIt manifests written", "#platform", released.released_at),
            "@type": "UpdateAction",
            "instrument": {"@id": SHA512},
        },
    ]


def _assess(identifier: str, kind: str, name: str, agent: str, at: datetime) -> Entity:
    return {
        "@id": identifier,
        "@type": "AssessAction",
        "additionalType": {"@id": SHP + kind},
        "name": name,
        "endTime": instant(at),
        "object": {"@id": "./"},
        "agent": {"@id": agent},
        "actionStatus": DONE,
    }


def _agents(released: Released) -> list[Entity]:
    author, project = released.author, released.project
    checkers = [
        {
            "@id": f"#checker-{number}",
            "@type": "Person",
            "name": f"Output checker {number}",
            "affiliation": {"@id": "#tre"},
        }
        for number, _ in released.reviews
    ]
    return [
        {
            "@id": "#author",
            "@type": "Person",
            "name": author.name,
            "identifier": author.username,
            "affiliation": {"@id": f"#organisation-{author.organisation}"},
            "memberOf": [{"@id": "#project"}],
        },
        {"@id": f"#organisation-{author.organisation}", "@type": "Organization", "name": author.organisation},
        {
            "@id": "#project",
            "@type": "Project",
            "name": project.title,
            "identifier": [{"@id": "_:localid:tre:project"}],
        },
        {"@id": "_:localid:tre:project", "@type": "PropertyValue", "name": "tre", "value": project.slug},
        {"@id": "#tre", "@type": "Organization", "name": "Trusted research environment"},
        {"@id": "#platform", "@type": "SoftwareApplication", "name": "tre", "provider": {"@id": "#tre"}},
        {
            "@id": "#terms",
            "@type": "CreativeWork",
            "name": "Conditions of the project's agreement",
            "description": "Released outputs are used for the project's purpose, until they are recalled.",
        },
        *checkers,
    ]


def statement(*, crate: str, request: int, version: int, sha256: str) -> dict[str, Any]:
    """What is signed: that this crate, with these bytes, is the release of that version."""
    return {"format": FORMAT, "crate": crate, "request": request, "version": version, "sha256": sha256}


def statement_bytes(said: Mapping[str, Any]) -> bytes:
    """The signed spelling of a statement, whatever else stands beside it in the file."""
    names = ("format", "crate", "request", "version", "sha256")
    if said.get("format") != FORMAT or any(name not in said for name in names):
        raise Broken("This is not the signature of a release.", code="crate_unsigned")
    return canonical_json({name: said[name] for name in names})
