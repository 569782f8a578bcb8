"""Lab's settings, layouts and translations, kept by the guard.

Decides what Lab remembers of a person's preferences for one workspace: schemas are the guard's own, the person's values
one small JSON file per workspace beside the guard, so that a workspace's server needs no Lab in it and cannot answer
here. Values are only ever given back to the same person's browser.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from tre.door.guard.routes import Route, write_private
from tre.errors import InvalidInput, LimitExceeded, NotFound

MAX_FILE_BYTES = 512 * 1024
MAX_LAYOUTS = 16
TRANSLATIONS = {"en": {"displayName": "English", "nativeName": "English"}}


class LabSettings:
    def __init__(self, lab: Path, folder: Path) -> None:
        self._schemas_folder = lab / "schemas"
        self._folder = folder

    @cached_property
    def schemas(self) -> dict[str, dict[str, Any]]:
        """Setting id → what Lab's settings API says of it where the person changed nothing."""
        found = {}
        for file in self._schemas_folder.glob("*/*/*.json"):
            identity = f"{file.parent.relative_to(self._schemas_folder).as_posix()}:{file.stem}"
            if file.name == "package.json.orig" or file.stem == "package":
                continue
            package = json.loads((file.parent / "package.json.orig").read_text())
            found[identity] = {
                "id": identity,
                "schema": json.loads(file.read_text()),
                "version": package.get("version", ""),
                "raw": "{}",
                "settings": {},
                "last_modified": None,
                "created": None,
            }
        return dict(sorted(found.items(), reverse=True))

    @cached_property
    def _unchanged(self) -> bytes:
        return json.dumps({"settings": list(self.schemas.values())}).encode()

    def answer(self, route: Route, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and JSON for one request below `lab/api/`. Raises NotFound, InvalidInput, LimitExceeded."""
        _, _, room, *rest = path.split("/", 3)
        name = rest[0] if rest else ""
        if room == "translations":
            return 200, json.dumps({"data": {} if name else TRANSLATIONS, "message": ""}).encode()
        if room == "settings":
            return self._settings(route, method, name, query, body)
        return self._layouts(route, method, name, body)

    def _settings(self, route: Route, method: str, name: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if not name and query.get("ids_only") == "true":
            return 200, json.dumps({"settings": [{"id": identity} for identity in self.schemas]}).encode()
        kept = self._read(route)
        if not name and not kept["settings"]:
            return 200, self._unchanged
        if not name:
            merged = [self._merged(kept, identity) for identity in self.schemas]
            return 200, json.dumps({"settings": merged}).encode()
        if name not in self.schemas:
            raise NotFound(f"there is no setting {name!r}")
        if method == "GET":
            return 200, json.dumps(self._merged(kept, name)).encode()
        raw = parse(body).get("raw")
        if not isinstance(raw, str):
            raise InvalidInput('the body is {"raw": text}', field="raw")
        kept["settings"][name] = raw
        self._write(route, kept)
        return 204, b""

    def _merged(self, kept: dict[str, Any], name: str) -> dict[str, Any]:
        return self.schemas[name] | {"raw": kept["settings"].get(name, "{}")}

    def _layouts(self, route: Route, method: str, name: str, body: bytes) -> tuple[int, bytes]:
        kept = self._read(route)
        layouts: dict[str, Any] = kept["layouts"]
        if not name:
            answer = {"ids": list(layouts), "values": list(layouts.values())}
            return 200, json.dumps({"workspaces": answer}).encode()
        if method == "GET":
            empty = {"data": {}, "metadata": {"id": name}}
            return 200, json.dumps(layouts.get(name, empty)).encode()
        if method == "DELETE":
            if layouts.pop(name, None) is None:
                raise NotFound(f"there is no layout {name!r}")
        else:
            layouts[name] = parse(body)
            if len(layouts) > MAX_LAYOUTS:
                raise LimitExceeded(f"at most {MAX_LAYOUTS} layouts are kept", field="workspaces")
        self._write(route, kept)
        return 204, b""

    def _file(self, route: Route) -> Path:
        return self._folder / f"{hashlib.sha256(route.base_url.encode()).hexdigest()[:32]}.json"

    def _read(self, route: Route) -> dict[str, Any]:
        try:
            kept = json.loads(self._file(route).read_text())
        except (FileNotFoundError, ValueError):
            kept = {}
        return {"settings": dict(kept.get("settings", {})), "layouts": dict(kept.get("layouts", {}))}

    def _write(self, route: Route, kept: dict[str, Any]) -> None:
        data = json.dumps(kept).encode()
        if len(data) > MAX_FILE_BYTES:
            raise LimitExceeded(f"settings and layouts may take {MAX_FILE_BYTES} bytes", field="body")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._file(route), data)


def parse(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise InvalidInput("the body is not JSON", field="body") from error
    if not isinstance(found, dict):
        raise InvalidInput("the body is not a JSON object", field="body")
    return found
