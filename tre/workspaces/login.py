"""A leased login as files that libpq reads inside a workspace: a service named `project`, and what it names.

Decides how the data server is reached from inside: by the socket's folder that a sandbox is shown, or over the network,
where the server proves itself as strictly as to the platform.
"""

from __future__ import annotations

from pathlib import Path

from tre.credentials import Lease
from tre.errors import Unavailable
from tre.settings import PostgresServer

SHOWN = "/run/tre"
SERVICE_FILE = "pg_service.conf"
CA_FILE = "postgresql-ca.pem"


def files(server: PostgresServer, lease: Lease) -> dict[str, str]:
    """Secret files by name. Raises `Unavailable` where the server's CA cannot be read."""
    found = {}
    options = {"host": f"{SHOWN}/postgresql"}
    if socket_folder(server) is None:
        options = {"host": server.host, **server.options()}
    if "sslrootcert" in options:
        options["sslrootcert"] = f"{SHOWN}/{CA_FILE}"
        found[CA_FILE] = _text(Path(server.sslrootcert))
    options |= {"dbname": lease.database, "user": lease.username, "password": lease.password}
    lines = [f"{name}={value}" for name, value in options.items()]
    return {SERVICE_FILE: "\n".join(["[project]", *lines, ""]), **found}


def socket_folder(server: PostgresServer) -> str | None:
    """The folder to be shown inside; None where the server is reached over the network."""
    return server.host if server.host.startswith("/") else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"The data server's CA, {file}, cannot be read ({type(error).__name__}).") from error
