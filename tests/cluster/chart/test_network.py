"""Who may talk to whom among our own parts: the whole table, and what is not in it."""

from __future__ import annotations

from .network import Line, parts_of, table
from .rendering import Object, of_kind

DNS = {("kube-system/kube-dns", 53)}
PARTS: set[Line] = {
    ("proxy", "api", 8003),
    ("proxy", "hub", 8001),
    ("proxy", "guard", 8002),
    ("hub", "api", 8005),
    ("hub", "guard", 8006),
    # A workspace that the Hub does not see answer is ended by it.
    ("hub", "guard", 8002),
    ("guard", "hub", 8001),
    ("guard", "api", 8005),
    ("api", "hub", 8001),
    ("intake", "api", 8005),
    ("worker", "checker", 8008),
    ("test", "proxy", 8000),
}
#: What comes from elsewhere.
COMING: set[Line] = {("everybody", "proxy", 8000), ("projects", "intake", 8007), ("projects", "dns", 53)}
#: What goes elsewhere besides the cluster's DNS.
GOING: set[Line] = {("guard", "projects", 8888), ("hub", "10.0.0.1/32", 6443), ("controller", "10.0.0.1/32", 6443)}
STATE, DATA, OPENBAO = ("10.0.5.7/32", 5432), ("10.0.5.8/32", 5432), ("10.0.5.9/32", 8200)
SERVERS: set[Line] = {
    *((part, *STATE) for part in ("api", "worker", "controller", "hub", "migrate")),
    *((part, *DATA) for part in ("api", "worker")),
    *((part, *OPENBAO) for part in ("api", "worker", "controller")),
}
#: Where submitted and released bytes lie: not for the intake, which stands next to workspaces.
STORAGE: set[Line] = {(part, "10.0.5.11/32", 9000) for part in ("api", "worker")}
PROVIDER: Line = ("hub", "10.0.5.10/32", 443)
INSIDE = {STATE: ("postgres-state", 5432), DATA: ("postgres-data", 5432), OPENBAO: ("openbao", 8200)}
#: Who looks up names.
ASKING = {"api", "controller", "guard", "hub", "intake", "migrate", "proxy", "test", "worker"}


def test_the_whole_table(rendered: list[Object], profile: str) -> None:
    small = profile == "small"
    within = {(one, *INSIDE[server, port]) for one, server, port in SERVERS} | {("openbao", "postgres-data", 5432)}
    coming = PARTS | COMING | (within | {("projects", "postgres-data", 5432)} if small else set())
    going = PARTS | GOING | (within | {("openbao", "10.0.0.1/32", 6443)} if small else SERVERS | {PROVIDER})
    going |= STORAGE if profile == "bucket" else set()
    going |= {(part, "kube-system/kube-dns", 53) for part in ASKING | ({"openbao"} if small else set())}
    assert table([each for each in policies(rendered) if each["spec"]["podSelector"]]) == (coming, going)


def policies(rendered: list[Object]) -> list[Object]:
    return of_kind(rendered, "NetworkPolicy")


def test_every_pod_is_closed_in_both_directions_and_every_part_has_its_line(rendered: list[Object]) -> None:
    (closed,) = [each["spec"] for each in policies(rendered) if not each["spec"]["podSelector"]]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    named = {each["metadata"]["name"].removeprefix("tre-") for each in policies(rendered)} - {"default-deny"}
    assert named == parts_of(rendered)


def test_what_a_browser_or_a_workspace_reaches_has_no_way_to_the_servers(rendered: list[Object]) -> None:
    """The parts that strangers' bytes come to first."""
    _, going = table([each for each in policies(rendered) if each["spec"]["podSelector"]])
    servers = {"postgres-state", "postgres-data", "openbao", *(cidr for cidr, _ in (STATE, DATA, OPENBAO))}
    servers |= {cidr for _, cidr, _ in STORAGE}
    for part in ("proxy", "guard", "intake", "dns", "checker", "test"):
        assert {to for one, to, _ in going if one == part} & servers == set(), part


def test_where_hostile_files_are_read_there_is_no_way_out_at_all(rendered: list[Object]) -> None:
    (checker,) = [each["spec"] for each in policies(rendered) if each["metadata"]["name"] == "tre-checker"]
    assert checker["egress"] == []
    assert checker["policyTypes"] == ["Ingress", "Egress"]
    assert len(checker["ingress"]) == 1
