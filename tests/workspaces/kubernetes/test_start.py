"""Nothing of the embedded platform's start gets slower for what it does not use."""

import subprocess
import sys


def test_the_clients_package_is_loaded_only_for_a_connection():
    code = """
import sys
from tre.workspaces.kubernetes import (  # every module of the room
    api, apply, cluster, comparison, content, controller, desired, leader, names, namespace, network, pod, quantities,
    secret, workspaces, world,
)
import tre.cli.main, tre.stack.worker
assert "kubernetes" not in sys.modules, "kubernetes"
assert "tre.workspaces.kubernetes.controller" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_embedded_start_does_not_load_this_room():
    code = "import sys, tre.stack.worker; assert 'tre.workspaces.kubernetes' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
