"""Values of the installation that would open too much, or that the cluster could not take, are refused by field."""

from typing import Any

import pytest

from tests.workspaces.kubernetes.house import CONTROL, cluster, part
from tre.errors import InvalidInput
from tre.workspaces.kubernetes.cluster import Addresses, Gpu, Pods, Storage

GPU = ("nvidia.com/gpu", 1, (), "", frozenset({"cost"}))
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"control_namespace": "Tre"}, "control_namespace"),
    ({"hub_account": "hub\n"}, "hub_account"),
    ({"guard": Pods(CONTROL, (), 80)}, "guard.labels"),
    ({"guard": Pods("", (("app", "x"),), 80)}, "guard.namespace"),
    ({"guard": Pods(CONTROL, (("app", "x y"),), 80)}, "guard.labels"),
    ({"guard": Pods(CONTROL, (("app", "x"), ("app", "y")), 80)}, "guard.labels"),
    ({"intake": part("intake", 0)}, "intake.port"),
    ({"dns": part("dns", 65536)}, "dns.port"),
    ({"dns_address": "10.96.0.53:53"}, "dns_address"),
    ({"dns_address": "dns.tre"}, "dns_address"),
    ({"database": Addresses("0.0.0.0/0", 5432)}, "database.cidr"),
    ({"database": Addresses("::/0", 5432)}, "database.cidr"),
    ({"database": Addresses("10.0.5.7/16", 5432)}, "database.cidr"),
    ({"database": Addresses("10.0.0.0/16", 5432)}, "database.cidr"),
    ({"database": Addresses("db.example.org", 5432)}, "database.cidr"),
    ({"database": Addresses("10.0.5.7", 5432)}, "database.cidr"),
    ({"image": "localhost/tre-workspace"}, "image"),
    ({"image": "x:1 --privileged"}, "image"),
    ({"images": (("cost", "x"),)}, "images.cost"),
    ({"images": (("../cost", "x:1"),)}, "images"),
    ({"pod_security_version": "latest"}, "pod_security_version"),
    ({"priority_class": "system-node-critical"}, "priority_class"),
    ({"retention_days": -1}, "retention_days"),
    ({"storage": Storage(home_class="a/b")}, "storage.home_class"),
    ({"storage": Storage(data_bytes=0)}, "storage.data_bytes"),
    ({"storage": Storage(ephemeral_bytes=-5)}, "storage.ephemeral_bytes"),
    ({"gpu": Gpu("cpu", *GPU[1:])}, "gpu.resource"),
    ({"gpu": Gpu(GPU[0], 0, *GPU[2:])}, "gpu.count"),
    ({"gpu": Gpu(*GPU[:3], "a b", GPU[4])}, "gpu.taint"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED)
def test_a_value_that_is_refused(changes: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as refused:
        cluster(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize("cidr", ["10.0.5.0/24", "10.0.5.7/32", "2001:db8::7/128"])
def test_a_database_is_one_server_or_a_few(cidr: str):
    assert cluster(database=Addresses(cidr, 5432)).database == Addresses(cidr, 5432)
