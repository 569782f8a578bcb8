"""The workspace's Jupyter server, on a listening descriptor that was opened outside.

Decides what the server offers: contents, kernels and sessions (Lab's pages and settings are the guard's); no
terminals, no file download, no export, no view, the image's kernels, no configuration by the user. That keeps honest
users within the lines; the wall is the guard outside, since code inside could change this server. The token is the
guard's alone: what comes on standard input is its hash.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import socket
from typing import Any

PR_SET_DUMPABLE = 4
HOME = "/home/researcher"
TRUST = f"{HOME}/.local/share/jupyter"
SHARE = "/opt/tre/env/share/jupyter"
#: Python, and R in the image that has it.
KERNELS = ("python3", "ir")


def configuration(*, base_url: str, token_hash: str) -> dict[str, dict[str, Any]]:
    """Every setting that differs from Jupyter's defaults, as one object."""
    return {
        "ServerApp": {
            "base_url": base_url,
            "root_dir": HOME,
            "cookie_secret": os.urandom(32),
            "allow_remote_access": True,
            "open_browser": False,
            "no_browser_open_file": True,
            "terminals_enabled": False,
            "quit_button": False,
            "disable_user_config": True,
            "jpserver_extensions": {},
            "max_body_size": 256 << 20,
            "max_buffer_size": 256 << 20,
            "extra_services": ["jupyter_server.services.kernelspecs.handlers"],
            "shutdown_no_activity_timeout": 0,
            "log_level": "WARN",
        },
        "IdentityProvider": {"token": token_hash, "cookie_name": "workspace"},
        "KernelSpecManager": {"allowed_kernelspecs": list(KERNELS), "ensure_native_kernel": True},
        "MultiKernelManager": {"default_kernel_name": "python3"},
        # Unix sockets: before it binds TCP, libzmq asks AF_NETLINK, and that family does not exist here.
        "KernelManager": {"transport": "ipc"},
        "ContentsManager": {"allow_hidden": False},
        "FileContentsManager": {"delete_to_trash": False},
        # Which notebooks are the person's own is kept with the notebooks: the environment is read-only.
        "NotebookNotary": {"data_dir": TRUST},
    }


def hide() -> None:
    """Keep the researcher's own processes, which run as the same user, from reading the token out of memory."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")


def read_settings() -> dict[str, Any]:
    """Settings from standard input, which is the null device afterwards."""
    with os.fdopen(os.dup(0), "rb") as stream:
        settings: dict[str, Any] = json.load(stream)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for name in ("listener", "ready"):
        os.set_inheritable(settings[name], False)
    return settings


def identity_class() -> type:
    """Who is the guard: whoever presents the token, of which this server has the hash."""
    from jupyter_server.auth.identity import IdentityProvider
    from tornado import web

    class ByHash(IdentityProvider):
        """Compares hashes: the researcher can read what this server was given, and must not be the guard by it."""

        def get_token(self, handler: web.RequestHandler) -> str | None:
            presented = super().get_token(handler)
            return hashlib.sha256(presented.encode()).hexdigest() if presented else presented

        def get_handlers(self) -> list[tuple[str, object]]:
            """No page to sign in: it would take the hash itself for a password."""
            return []

    return ByHash


def server_class(listener: int, ready: int) -> type:
    """The Jupyter server that takes its socket from us and leaves no note of its token on any disk."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_server.serverapp import ServerApp
    from tornado import web

    class Refused(web.RequestHandler):
        """Files leave by a release request only."""

        def prepare(self) -> None:
            raise web.HTTPError(403, "Files leave a workspace by a release request only: release.submit(...).")

        def check_xsrf_cookie(self) -> None:
            """Nothing is done here, so nothing is forged."""

        def initialize(self, **_: Any) -> None:
            """Takes the arguments of the handler that it replaces."""

    class OurKernels(KernelSpecManager):
        """Looks in the environment only: `allowed_kernelspecs` filters the list, not what may be started."""

        def _kernel_dirs_default(self) -> list[str]:
            return [f"{SHARE}/kernels"]

    class WorkspaceServer(ServerApp):
        # "kernelspecs" would also serve any file beside a kernel.json, those of the researcher's making too.
        default_services = ("api", "config", "contents", "kernels", "sessions", "events")

        def load_config_file(self, suppress_errors: bool = True) -> None:
            """All configuration is `configuration`: files in the home or the working folder are the researcher's."""

        def init_configurables(self) -> None:
            self.kernel_spec_manager_class = OurKernels
            self.identity_provider_class = identity_class()
            super().init_configurables()
            self.contents_manager.files_handler_class = Refused

        def _find_http_port(self) -> None:
            """The address is a descriptor: there is no port to find."""

        def _bind_http_server(self) -> None:
            connection = socket.socket(fileno=listener)
            connection.setblocking(False)
            self.http_server.add_socket(connection)
            os.write(ready, b"ready\n")
            os.close(ready)

        def write_server_info_file(self) -> None:
            """It would hold the token."""

        def remove_server_info_file(self) -> None:
            """There is none."""

        def write_browser_open_files(self) -> None:
            """They would hold the token, too."""

        def running_server_info(self, kernel_count: bool = True) -> str:
            return "workspace ready"

    return WorkspaceServer


def main() -> None:
    """Serve until told to end."""
    hide()
    settings = read_settings()
    # Neither configuration nor extensions come from where a researcher can write.
    os.chdir("/")
    os.environ |= {"JUPYTER_NO_CONFIG": "1", "JUPYTER_DATA_DIR": SHARE}
    from traitlets.config import Config

    server = server_class(settings["listener"], settings["ready"])()
    server.update_config(Config(configuration(base_url=settings["base_url"], token_hash=settings["token_hash"])))
    server.initialize(argv=[])
    os.makedirs(TRUST, exist_ok=True)
    os.chdir(HOME)
    server.start()


if __name__ == "__main__":
    main()
