"""The first process of a cluster: `python -m tests.cluster.machine.inside RUN CACHE LISTENER`.

It stands in kernel namespaces of its own (files, network, processes, control groups, host name), starts everything in
them, says so, and then watches over the servers. When it ends, the kernel ends everything else and forgets every mount,
link, route, rule and setting. LISTENER is a listening socket of the machine's own loopback: the only way in, and none
out. While it starts, its output is a pipe to whoever waits (see lifecycle): when nobody reads any more, it ends.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sys
from pathlib import Path

from tre.errors import TreError

from . import build, contents, groups, images, mounts, network, servers
from .place import Place
from .processes import Server, Servers, answers, etcd_is_healthy
from .progress import READY, tell

FILES_OPEN = 20_000
TOOLS = {"clang": "clang-19", "llc": "llc-19", "llvm-objcopy": "llvm-objcopy-19"}


def main(arguments: list[str]) -> None:
    place = Place(run=Path(arguments[0]), cache=Path(arguments[1]))
    try:
        kept = begin(place, int(arguments[2]))
    except TreError as problem:
        print(problem.message, flush=True)
        sys.exit(problem.exit_code)
    print(READY, flush=True)
    # From here on nobody listens: what is said goes to a file.
    log = os.open(place.logs / "cluster.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    kept.keep()


def begin(place: Place, listener: int) -> Servers:
    """From nothing to a cluster that runs pods and enforces policies."""
    mounts.settle(place.run, groups.hierarchies(Path("/proc/mounts").read_text()))
    socket.sethostname(network.NODE)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_OPEN, hard) if hard > 0 else FILES_OPEN, hard))
    tools = link_tools(place)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(place.run),
        "TMPDIR": "/var/tmp",
        "KUBECONFIG": str(place.keys / "admin.kubeconfig"),
        "K8S_NODE_NAME": network.NODE,
    }
    found = Servers(place.logs, environment)
    start_outside(place, found)
    start_control(place, found, listener)
    start_node(place, found)
    return found


def link_tools(place: Place) -> Path:
    """Debian's names for a compiler carry its version; Cilium looks for names without."""
    folder = place.run / "programs"
    folder.mkdir()
    for name, program in TOOLS.items():
        (folder / name).symlink_to(f"/usr/bin/{program}")
    plugins = place.run / "cni-programs"
    plugins.mkdir()
    (plugins / "cilium-cni").symlink_to(place.programs / "cilium-cni")
    (plugins / "loopback").symlink_to("/usr/lib/cni/loopback")
    return folder


def start_outside(place: Place, found: Servers) -> None:
    holder = found.start(Server("outside", ["unshare", "--net", str(place.programs / "probe")]))
    network.connect(holder)
    for name, command in servers.outside_servers(place).items():
        found.start(Server(name, [*network.within(holder), *command]))
    tell("an outside world with a web server, a resolver and a metadata service")


def start_control(place: Place, found: Servers, listener: int) -> None:
    found.start(Server("containerd", servers.containerd(place)))
    found.start(Server("etcd", servers.etcd(place)))
    found.wait("etcd did not become healthy", lambda: etcd_is_healthy(servers.ETCD, place.keys), seconds=30, log="etcd")
    found.start(Server("apiserver", servers.apiserver(place)))
    kubectl = str(place.programs / "kubectl")
    api = answers([kubectl, "get", "--raw=/readyz"], found.environment)
    found.wait("the API server did not become ready", api, seconds=120, log="apiserver")
    tell("etcd and the API server")
    found.start(Server("controller-manager", servers.controller_manager(place)))
    found.start(Server("scheduler", servers.scheduler(place)))
    target = f"{network.NODE_ADDRESS}:{network.API_PORT}"
    found.start(Server("relay", [str(place.programs / "probe"), "relay", str(listener), target], pass_fds=(listener,)))


def start_node(place: Place, found: Servers) -> None:
    kubectl = contents.Kubectl(place.programs / "kubectl", found.environment)
    kubectl.apply_folder(place.programs / "cilium-crds")
    kubectl.apply(contents.bindings())
    control = answers(["ctr", "--address", str(place.containerd), "version"], found.environment)
    found.wait("containerd did not answer", control, seconds=30, log="containerd")
    for file in build.archives(place):
        images.load(place, file)
    found.start(Server("kubelet", servers.kubelet(place)))
    found.start(Server("proxy", servers.proxy(place)))
    registered = answers([*kubectl.command, "get", "node", network.NODE], found.environment)
    found.wait("the kubelet did not register its node", registered, seconds=60, log="kubelet")
    tell("containerd with images, the kubelet, the proxy")
    shutil.copytree(place.programs / "cilium-bpf", place.run / "cilium" / "bpf")
    found.start(Server("cilium", servers.cilium(place)))
    status = answers([str(place.programs / "cilium-dbg"), "status", "--brief"], found.environment)
    found.wait("Cilium did not become ready", status, seconds=180, log="cilium")
    wait_ready = [*kubectl.command, "wait", "--for=condition=Ready", f"node/{network.NODE}", "--timeout=2s"]
    found.wait("the node did not become ready", answers(wait_ready, found.environment), seconds=90, log="kubelet")
    tell("Cilium, and a node that is ready")
    kubectl.apply(contents.dns())
    rollout = [*kubectl.command, "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=3s"]
    found.wait("CoreDNS did not become ready", answers(rollout, found.environment), seconds=90, log="kubelet")
    tell("DNS")


if __name__ == "__main__":
    main(sys.argv[1:])
