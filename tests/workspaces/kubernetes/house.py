"""An installation on a cluster, and a plan, for tests; and the API's own schema as the package `kubernetes` has it."""

from typing import Any

import kubernetes.client

from tre.workspaces.kubernetes.cluster import Addresses, Cluster, Gpu, Mirror, Pods, Storage
from tre.workspaces.kubernetes.desired import Wish
from tre.workspaces.plan import DataMount, LaunchPlan, Limits

CONTROL = "tre-system"


def part(name: str, port: int) -> Pods:
    return Pods(CONTROL, (("app.kubernetes.io/component", name),), port)


def cluster(**changes: Any) -> Cluster:
    values: dict[str, Any] = {
        "control_namespace": CONTROL,
        "hub_account": "hub",
        "guard": part("guard", 8000),
        "intake": part("intake", 8080),
        "dns": part("dns", 53),
        "dns_address": "10.96.0.53",
        "database": Addresses("10.0.5.7/32", 5432),
        "mirror": None,
        "image": "localhost/tre-workspace:1",
        "pod_security_version": "v1.34",
    }
    return Cluster(**values | changes)


MIRROR = Mirror(**vars(part("mirror", 3128)), url="http://mirror.example:3128/simple/", projects=frozenset({"cost"}))
EVERYTHING = cluster(
    database=part("postgresql", 5432),
    mirror=MIRROR,
    priority_class="workspaces",
    user_namespaces=True,
    among_workspaces=True,
    storage=Storage("fast", "ReadWriteOncePod", "shared.example", "ReadWriteMany", 1 << 40, 1 << 30),
    gpu=Gpu("nvidia.com/gpu", 2, (("accelerator", "a100"),), "nvidia.com/gpu", frozenset({"cost"})),
)
LIMITS = Limits(memory_bytes=1500 << 20, processes=100, cpus=1.5, file_bytes=1 << 30, home_bytes=10 << 30)
WISH = Wish("cost", open=True, over=False, people=1, homes=("bob", "Old_Member"), limits=LIMITS)
PLAN = LaunchPlan(
    workspace_id="0123456789abcdef",
    person="bob",
    project="cost",
    home="/state/homes/cost/bob",
    base_url="/user/bob/cost/",
    intake_socket="/run/tre/intake/w/intake.sock",
    jupyter_token="j" * 40,
    data=(DataMount("survey", "/state/extracts/x_1"),),
    secrets={"intake.token": "the-token", "pg_service.conf": "[project]\n"},
    limits=LIMITS,
)


def check_schema(made: dict[str, Any]) -> None:
    """Unknown fields, wrong types and missing ones are errors there; what comes back is what went in."""
    model = getattr(kubernetes.client, f"V1{made['kind']}")
    read = model.model_validate(made, strict=False)
    assert read.model_dump(mode="json", by_alias=True, exclude_none=True) == made
