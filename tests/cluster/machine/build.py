"""Programs from Go modules, built once. Decides what is built from what, and when a build still holds.

Each folder below tests/cluster/go has a go.mod and go.sum that pin everything. A build is kept under a name that is the
hash of that folder, the flags and Go's version: it is found again, or it is made anew. Half a build is never found.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tre.errors import Unavailable

from . import python
from .configs import DNS_IMAGE, PROBE_IMAGE, PYTHON_IMAGE
from .images import Image
from .place import SOURCES, Place
from .progress import say

#: What a debugger reads is left out by the linker; not making it takes a ninth of a processor's time less.
FLAGS = ("-trimpath", "-mod=readonly", "-buildvcs=false", "-gcflags=all=-dwarf=false")
REMIND_SECONDS = 20
ACCOUNTS = b"root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n"


@dataclass(frozen=True)
class Module:
    """`programs` is {file: package}; `names` further names of the first program; `folders` {file: folder of `source`};
    `stamps` are variables that the linker sets, as the module's own release scripts do.
    """

    name: str
    programs: Mapping[str, str]
    names: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    source: str = ""
    folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return SOURCES / "go" / self.name


CILIUM = "github.com/cilium/cilium"
CILIUM_VERSION = "1.20.2"
KUBERNETES_VERSION = "1.34.4"
CRDS = "pkg/k8s/apis/cilium.io/client/crds"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")


def kubernetes_stamps() -> tuple[str, ...]:
    """A chart asks which Kubernetes it is on: without these it would be told v0.0.0."""
    major, minor = KUBERNETES_VERSION.split(".")[:2]
    values = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
    return tuple(f"k8s.io/component-base/version.{name}={value}" for name, value in values.items())


MODULES = (
    Module("probe", {"probe": "."}),
    Module("kubernetes", {"kubernetes": "."}, names=KUBERNETES, stamps=kubernetes_stamps()),
    Module(
        "cilium",
        {
            "cilium-agent": f"{CILIUM}/daemon",
            "cilium-cni": f"{CILIUM}/plugins/cilium-cni",
            "cilium-dbg": f"{CILIUM}/cilium-dbg",
        },
        stamps=(f"{CILIUM}/pkg/version.ciliumVersion={CILIUM_VERSION}",),
        source=CILIUM,
        folders={"cilium-bpf": "bpf", "cilium-crds": CRDS},
    ),
    Module("coredns", {"coredns": "."}),
    Module("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}),
    Module("cyclonus", {"cyclonus": "github.com/mattfenwick/cyclonus/cmd/cyclonus"}),
)
#: Nodes and pods that are only told of, for the benchmark of size (tests/cluster/scale).
KWOK = Module("kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
#: The server that OpenBao was made from, for a release beside one (`make test-cluster PARTS=vault`).
VAULT = Module("vault", {"vault": "github.com/hashicorp/vault"})
#: An object storage that speaks S3 and keeps its objects as files: `make test` builds it below the checkout's `build`.
VERSITYGW = Module("versitygw", {"versitygw": "github.com/versity/versitygw/cmd/versitygw"})


def environment() -> dict[str, str]:
    """No C, no other Go than the one that is there. A compiler that collects its garbage less often takes less of
    a processor.
    """
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOGC": "400"}


def go(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["go", *arguments], cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"go {' '.join(arguments)} in {folder.name}: {done.stderr.strip()[-800:]}")
    return done.stdout.strip()


def key(module: Module, version: str) -> str:
    """The hash of everything that a build depends on."""
    parts = hashlib.sha256(f"{version}\0{FLAGS}\0{module}\0".encode())
    for file in sorted(path for path in module.home.rglob("*") if path.is_file()):
        content = file.read_bytes()
        parts.update(f"{file.relative_to(module.home)}\0{len(content)}\0".encode() + content)
    return parts.hexdigest()[:16]


def ensure(place: Place) -> None:
    """Every program, under its name in `place.programs`, and the images of the cluster's own parts."""
    version = go("version", folder=SOURCES)
    place.programs.mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        provide(place, module, version)
    pictures(place)


def ensure_vault(place: Place) -> None:
    """Vault beside them."""
    place.programs.mkdir(parents=True, exist_ok=True)
    provide(place, VAULT, go("version", folder=SOURCES))


def provide(place: Place, module: Module, version: str) -> None:
    home = built(place, module, version)
    publish(module, home, place.programs)
    forget_others(home)


def built(place: Place, module: Module, version: str) -> Path:
    """The folder with its programs, which are built where they are not there."""
    home = place.cache / "built" / f"{module.name}-{key(module, version)}"
    if not home.exists():
        make(module, home)
    return home


def make(module: Module, home: Path) -> None:
    """Build into a folder beside, and give it its name when all is there."""
    half = home.with_name(home.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    began = time.monotonic()
    for file, package in module.programs.items():
        compile_one(module, file, package, half)
    for file, folder in module.folders.items():
        source = Path(go("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module.source, folder=module.home))
        shutil.copytree(source / folder, half / file, copy_function=shutil.copyfile)
    half.rename(home)
    say(f"{module.name} is built ({time.monotonic() - began:.0f} s)")


def compile_one(module: Module, file: str, package: str, folder: Path) -> None:
    """One program, at the lowest priority, with a word now and then: it may take minutes."""
    say(f"building {file}")
    log = folder / f"{file}.log"
    linker = " ".join(["-ldflags=-s -w", *(f"-X {stamp}" for stamp in module.stamps)])
    command = ["nice", "-n", "19", "go", "build", "-v", *FLAGS, linker, "-o", str(folder / file), package]
    with log.open("w") as out:
        child = subprocess.Popen(command, cwd=module.home, env=environment(), stdout=out, stderr=out)
    try:
        while True:
            try:
                code = child.wait(REMIND_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"building {file}: {sum(1 for _ in log.open())} modules and packages so far")
    finally:
        child.kill()
    if code != 0:
        raise Unavailable(f"building {file} failed: {log.read_text().strip()[-1500:]}")
    log.unlink()


def publish(module: Module, home: Path, programs: Path) -> None:
    """Names in one folder; a name is replaced in one step."""
    first = next(iter(module.programs))
    wanted = {**{file: file for file in (*module.programs, *module.folders)}, **dict.fromkeys(module.names, first)}
    for name, file in wanted.items():
        fresh = programs / f".{name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(home / file)
        fresh.rename(programs / name)


def forget_others(home: Path) -> None:
    """Builds of the same thing from other sources."""
    for other in home.parent.glob(home.name.rsplit("-", 1)[0] + "-*"):
        if other != home:
            shutil.rmtree(other) if other.is_dir() else other.unlink()


def archives(place: Place) -> list[Path]:
    """The archives of the cluster's own images: the probe's (which is every pod's pause too), CoreDNS' and Python's.

    Their names tell the program's build and how images are made.
    """
    maker = b"".join((Path(__file__).parent / name).read_bytes() for name in ("images.py", "python.py"))
    maker += b"".join(python.confinement().values())
    found = []
    for program in (place.programs / "probe", place.programs / "coredns", Path(sys.executable).resolve()):
        mark = hashlib.sha256(maker + str(program.resolve()).encode()).hexdigest()[:16]
        found.append(place.cache / "images" / f"{program.name}-{mark}.tar")
    return found


def pictures(place: Place) -> None:
    """Make the images that are not there."""
    for file, name in zip(archives(place), (PROBE_IMAGE, DNS_IMAGE, PYTHON_IMAGE), strict=True):
        if file.exists():
            continue
        program = file.name.rsplit("-", 1)[0]
        if name == PYTHON_IMAGE:
            content, entry = python.files(), list(python.ENTRY)
        else:
            content, entry = {program: (place.programs / program).read_bytes()}, [f"/{program}"]
        Image(name, {**content, "etc/passwd": ACCOUNTS}, entrypoint=tuple(entry)).write(file)
        forget_others(file)
