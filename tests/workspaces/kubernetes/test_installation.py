"""`[projects]` of the cluster's file: the whole of it, and every mistake named by its key."""

import tomllib
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import EVERYTHING
from tre.errors import InvalidInput
from tre.workspaces.kubernetes.cluster import Addresses
from tre.workspaces.kubernetes.installation import read

FILE = """
control_namespace = "tre-system"
hub_account = "hub"
image = "localhost/tre-workspace:1"
pod_security_version = "v1.34"
dns_address = "10.96.0.53"
priority_class = "workspaces"
user_namespaces = true
among_workspaces = true
guard = { namespace = "tre-system", labels = { "app.kubernetes.io/component" = "guard" }, port = 8000 }
intake = { namespace = "tre-system", labels = { "app.kubernetes.io/component" = "intake" }, port = 8080 }
dns = { namespace = "tre-system", labels = { "app.kubernetes.io/component" = "dns" }, port = 53 }
database = { namespace = "tre-system", labels = { "app.kubernetes.io/component" = "postgresql" }, port = 5432 }
[storage]
home_class = "fast"
home_access = "ReadWriteOncePod"
data_class = "shared.example"
data_bytes = 1099511627776
ephemeral_bytes = 1073741824
[mirror]
namespace = "tre-system"
labels = { "app.kubernetes.io/component" = "mirror" }
port = 3128
url = "http://mirror.example:3128/simple/"
projects = ["cost"]
[gpu]
resource = "nvidia.com/gpu"
count = 2
node_labels = { accelerator = "a100" }
taint = "nvidia.com/gpu"
projects = ["cost"]
"""


def values(**changes: Any) -> dict[str, Any]:
    return tomllib.loads(FILE) | changes


def test_everything():
    assert read(values()) == EVERYTHING


def test_projects_may_have_images_of_their_own():
    found = read(values(images={"cost": "registry.example/tre-workspace-r:1"}))
    assert found.image_of("cost") == "registry.example/tre-workspace-r:1"
    assert found.image_of("benefit") == found.image == EVERYTHING.image


def test_a_database_may_lie_outside():
    assert read(values(database={"cidr": "10.0.5.7/32", "port": 5432})).database == Addresses("10.0.5.7/32", 5432)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gaurd": {}}, "projects.gaurd"),
        ({"guard": "tre-guard"}, "guard"),
        ({"guard": {"namespace": "tre-system", "port": 1}}, "guard.labels"),
        ({"guard": {"namespace": "tre-system", "labels": {"a": 1}, "port": 1}}, "guard.labels"),
        ({"guard": {"namespace": "tre-system", "labels": {}, "port": 1}}, "guard.labels"),
        ({"dns": {"namespace": "tre-system", "labels": {"a": "b"}, "port": "53"}}, "dns.port"),
        ({"user_namespaces": 1}, "projects.user_namespaces"),
        ({"database": {"cidr": "10.0.0.0/8", "port": 5432}}, "database.cidr"),
        ({"storage": {"home_bytes": 1}}, "storage.home_bytes"),
        ({"gpu": {}}, "gpu.resource"),
        ({"image": "no tag"}, "image"),
        ({"images": {"cost": 1}}, "projects.images"),
        ({"images": {"cost": "no tag"}}, "images.cost"),
        ({"retention_days": 1.5}, "projects.retention_days"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as refusal:
        read(values(**changes))
    assert refusal.value.field == field


def test_a_missing_key_is_named():
    given = values()
    del given["hub_account"]
    with pytest.raises(InvalidInput) as refusal:
        read(given)
    assert refusal.value.field == "projects.hub_account"
