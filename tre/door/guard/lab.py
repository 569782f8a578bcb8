"""Lab from the guard's own copy: index page and static files.

Decides what Lab is told about this workspace and which files exist. Nothing of it is read from a workspace: a file that
is not in the table made at the start has no address. Leaves headers to `headers`.
"""

from __future__ import annotations

import mimetypes
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2

HASHED = re.compile(r"[0-9a-f]{16}")

#: Ways to carry data out, or parts whose server side does not exist here. Cosmetic: the rules are in `paths`.
DISABLED_EXTENSIONS = (
    "@jupyterlab/application-extension:notfound",
    "@jupyterlab/apputils-extension:announcements",
    "@jupyterlab/apputils-extension:licenses-client",
    "@jupyterlab/apputils-extension:licenses-plugin",
    "@jupyterlab/docmanager-extension:download",
    "@jupyterlab/docmanager-extension:open-browser-tab",
    "@jupyterlab/extensionmanager-extension",
    "@jupyterlab/filebrowser-extension:download",
    "@jupyterlab/filebrowser-extension:open-browser-tab",
    "@jupyterlab/filebrowser-extension:open-url",
    "@jupyterlab/filebrowser-extension:share-file",
    "@jupyterlab/fileeditor-extension:language-server",
    "@jupyterlab/help-extension:jupyter-forum",
    "@jupyterlab/help-extension:licenses-commands",
    "@jupyterlab/help-extension:resources",
    "@jupyterlab/hub-extension:menu",
    "@jupyterlab/lsp-extension",
    "@jupyterlab/notebook-extension:copy-output",
    "@jupyterlab/notebook-extension:export",
    "@jupyterlab/notebook-extension:language-server",
    "@jupyterlab/pluginmanager-extension",
    "@jupyterlab/terminal-extension",
)

UNTRACKED_MESSAGES = (
    "comm_info_request",
    "comm_info_reply",
    "kernel_info_request",
    "kernel_info_reply",
    "shutdown_request",
    "shutdown_reply",
    "interrupt_request",
    "interrupt_reply",
    "debug_request",
    "debug_reply",
    "stream",
    "display_data",
    "update_display_data",
    "execute_input",
    "execute_result",
    "error",
    "status",
    "clear_output",
    "debug_event",
    "input_request",
    "input_reply",
)


@dataclass(frozen=True)
class StaticFile:
    path: Path
    media_type: str
    hashed: bool


def page_config(*, base_url: str, user: str, server_name: str, path: str, store_id: int) -> dict[str, Any]:
    """Everything that Lab learns from its page. `path`: below the base URL, `lab/workspaces/x/tree/y` at most."""
    mode, _, rest = path.partition("/")
    workspace, tree = "default", rest
    if rest.startswith("workspaces/"):
        _, workspace, *more = rest.split("/", 2)
        tree = more[0] if more else ""
    return {
        "appName": "JupyterLab",
        "appNamespace": "lab",
        "appUrl": "/lab",
        "appVersion": version("jupyterlab"),
        "buildAvailable": False,
        "buildCheck": False,
        "cacheFiles": True,
        "devMode": False,
        "disabledExtensions": list(DISABLED_EXTENSIONS),
        "deferredExtensions": [],
        "exposeAppInBrowser": False,
        "extensionManager": {"can_install": False, "install_path": None, "name": "read-only"},
        "federated_extensions": [],
        "fullAppUrl": f"{base_url}lab",
        "fullLabextensionsUrl": f"{base_url}lab/extensions",
        "fullLicensesUrl": f"{base_url}lab/api/licenses",
        "fullListingsUrl": f"{base_url}lab/api/listings",
        "fullSettingsUrl": f"{base_url}lab/api/settings",
        "fullStaticUrl": f"{base_url}static/lab",
        "fullThemesUrl": f"{base_url}lab/api/themes",
        "fullTranslationsApiUrl": f"{base_url}lab/api/translations",
        "fullTreeUrl": f"{base_url}lab/tree",
        "fullWorkspacesApiUrl": f"{base_url}lab/api/workspaces",
        "hubHost": "",
        "hubPrefix": "/hub/",
        "hubServerName": server_name,
        "hubUser": user,
        "ignorePlugins": [],
        "labextensionsUrl": "/lab/extensions",
        "licensesUrl": "/lab/api/licenses",
        "listingsUrl": "/lab/api/listings",
        "mode": "single-document" if mode == "doc" else "multiple-document",
        "news": {"disabled": True},
        "notebookStartsKernel": True,
        "notebookVersion": f"[{version('jupyter_server').replace('.', ', ')}]",
        "preferredPath": "/",
        "quitButton": False,
        "serverRoot": "~",
        "settingsUrl": "/lab/api/settings",
        "store_id": store_id,
        "terminalsAvailable": False,
        "themesUrl": "/lab/api/themes",
        "translationsApiUrl": "/lab/api/translations",
        "treePath": tree.removeprefix("tree/") if tree.startswith("tree/") else "",
        "treeUrl": "/lab/tree",
        "untracked_message_types": list(UNTRACKED_MESSAGES),
        "workspace": workspace,
        "workspacesApiUrl": "/lab/api/workspaces",
    }


class LabFiles:
    """Lab's index page as a template and the table of every file that can be asked for."""

    def __init__(self, lab: Path | None = None) -> None:
        share = Path(sys.prefix) / "share" / "jupyter"
        self.root = lab or share / "lab"
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(self.root / "static"), autoescape=True)
        self._index = environment.get_template("index.html")
        self.files = static_table(self.root, share / "kernels" / "python3", package_folder("jupyter_server") / "static")

    def index(self, config: dict[str, Any], base_url: str) -> str:
        return self._index.render(page_config=config, base_url=base_url, ws_url="", custom_css=False)


def static_table(lab: Path, kernel: Path, server: Path) -> dict[str, StaticFile]:
    """Address below the base URL → file."""
    found: dict[str, Path] = {}
    for prefix, folder in (("static/lab", lab / "static"), ("lab/api/themes", lab / "themes")):
        found |= {f"{prefix}/{file.relative_to(folder).as_posix()}": file for file in folder.rglob("*")}
    for name in ("favicons", "logo"):
        found |= {f"static/{name}/{file.name}": file for file in (server / name).glob("*")}
    found |= {f"kernelspecs/python3/{file.name}": file for file in kernel.glob("logo-*")}
    return {
        address: StaticFile(file, media_type(file.name), HASHED.search(file.name) is not None)
        for address, file in found.items()
        if file.is_file() and file.suffix not in {".html", ".map"}
    }


def media_type(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind.endswith("javascript") else kind


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    return Path(spec.origin).parent
