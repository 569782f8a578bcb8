"""`python -m tre.stack.servers postgres-state | postgres-data | openbao`: a server of the small profile, in its pod.

Decides what differs from the same server on one machine: it listens on the pod's port, OpenBao with a certificate, and
logins come from the pod's Secret. Everything else (roles, who may log in where, policies, keys) is that of `databases`
and `openbao`. For trying out: the state folder is the pod's volume and all there is of it, and this PostgreSQL is built
without TLS, so that the cluster's policies alone keep others from its wire.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hvac

from tre.credentials import policies
from tre.credentials.files import scram_verifier, write_secret
from tre.errors import InvalidInput, TreError
from tre.settings import Settings, make_private_folder
from tre.stack import databases, openbao, postgres

ADDRESS = "0.0.0.0"  # noqa: S104 (of the pod; who may come is for the policies)
OPENBAO_PORT = 8200


@dataclass(frozen=True)
class Shown:
    """What the pod shows: the folder of its certificate, the folder of its logins."""

    certificate: Path = Path("/etc/tre/tls")
    secrets: Path = Path("/etc/tre/secrets")

    @property
    def chain(self) -> Path:
        return self.certificate / "tls.crt"

    @property
    def key(self) -> Path:
        return self.certificate / "tls.key"


def postgres_settings(server: postgres.Server) -> dict[str, str]:
    """postgresql.conf as {name: value}: with a port of the pod."""
    return postgres.configuration(server) | {"listen_addresses": ADDRESS}


def hba_text(server: postgres.Server) -> str:
    """pg_hba.conf: the same pairs as on one machine, and nobody else."""
    lines = [f"host all {postgres.SUPERUSER} all reject"]
    lines += [f"host {database} {role} all scram-sha-256" for database, role in server.hba]
    return "\n".join([*lines, "host all all all reject", "local all all reject"]) + "\n"


def verifiers(shown: Shown, server: str, roles: tuple[str, ...]) -> dict[str, str]:
    """Of the passwords in the pod's Secret. Raises `InvalidInput` naming the key that is missing or is no such line."""
    found = {}
    for role in roles:
        name = f"{server}-{role}.pgpass"
        try:
            line = (shown.secrets / name).read_text().strip()
        except OSError:
            line = ""
        password = line.removeprefix(f"*:*:*:{role}:")
        if not password or password == line:
            raise InvalidInput(f"This is to be the line *:*:*:{role}:PASSWORD.", field=name)
        found[role] = scram_verifier(password)
    return found


def start_postgres(name: str, settings: Settings, shown: Shown) -> list[str]:
    """Makes the server's data where there is none, writes its configuration, returns its command."""
    state = name == "postgres-state"
    server = databases.state_server(settings) if state else databases.data_server(settings)
    if not server.data.exists():
        if state:
            postgres.initialise(server, databases.state_statements(verifiers(shown, "state", databases.STATE_ROLES)))
        else:
            made = databases.data_statements(verifiers(shown, "data", databases.DATA_ROLES))
            postgres.initialise(server, made, databases.data_template())
    make_private_folder(server.sockets)
    text = "".join(f"{name} = '{value}'\n" for name, value in postgres_settings(server).items())
    for file, content in (("postgresql.conf", text), ("pg_hba.conf", hba_text(server)), ("postgresql.auto.conf", "")):
        (server.data / file).write_text(content)
    return server.argv()


def listener(shown: Shown) -> str:
    return f"""\
listener "tcp" {{
  address = "{ADDRESS}:{OPENBAO_PORT}"
  tls_cert_file = {openbao.quoted(shown.chain)}
  tls_key_file = {openbao.quoted(shown.key)}
  tls_min_version = "tls13"
}}
"""


def kubernetes_sign_in(namespace: str, audience: str) -> Callable[[hvac.Client], None]:
    """What lets our service accounts sign in: the server asks the cluster about each token, as its own account."""

    def make(client: hvac.Client) -> None:
        openbao.make_kubernetes_sign_in(
            client,
            mount="kubernetes",
            role=policies.APP_ROLE,
            reviewing={"kubernetes_host": "https://kubernetes.default.svc"},
            rule=policies.kubernetes_role(namespace, audience),
        )

    return make


def run_openbao(settings: Settings, shown: Shown, namespace: str, audience: str) -> int:
    """Until it ends or a signal comes; the first run makes everything in it while it already listens."""
    openbao.prepare(settings)
    write_secret(openbao.folder(settings) / "openbao.hcl", openbao.configuration(settings) + listener(shown))
    server = subprocess.Popen(openbao.argv(settings), env=openbao.environment(), cwd=settings.state)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.terminate())
    try:
        openbao.wait_until_answers(settings)
        openbao.provision(settings, kubernetes_sign_in(namespace, audience))
    except BaseException:
        server.terminate()
        server.wait()
        raise
    return server.wait()


def main(arguments: list[str]) -> int:
    try:
        settings, shown = Settings.load(), Shown()
        if arguments in (["postgres-state"], ["postgres-data"]):
            command = start_postgres(arguments[0], settings, shown)
            os.execv(command[0], command)  # noqa: S606
        if arguments != ["openbao"]:
            raise InvalidInput("One of postgres-state, postgres-data, openbao.", field="SERVER")
        return run_openbao(settings, shown, os.environ["POD_NAMESPACE"], os.environ["TRE_OPENBAO_AUDIENCE"])
    except TreError as error:
        print(f"{error.field}: {error.message} {error.hint}".strip(": "), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
