"""The whole door: Traefik, JupyterHub, guard, intake, real sandboxes; the control plane is a stand-in."""

import html
import re
import secrets
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx

from tests.door.intake_house import PEM, good
from tests.door.parts import ROOT, Process, accepts, door_settings, is_free, wait_for
from tests.door.stand_in import InternalApi
from tre.door.places import Places
from tre.door.proxy import write_traefik_static
from tre.settings import Settings
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.runtime import SandboxRuntime

PASSWORD, CODE = "correct horse battery", "123456"


@dataclass
class Platform:
    settings: Settings
    api: InternalApi
    processes: dict[str, Process] = field(default_factory=dict)
    plans: list[dict] = field(default_factory=list)

    @property
    def places(self) -> Places:
        return Places(self.settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.places.public_port}"

    @property
    def runtime(self) -> SandboxRuntime:
        return SandboxRuntime(self.places.workspaces, ROOT / ".workspace-env")

    def start(self) -> None:
        self.places.prepare()
        database = self.settings.state / "hub.sqlite"
        url_file = self.places.hub_database_url
        url_file.touch(mode=0o600)
        url_file.write_text(f"sqlite:///{database}")
        self.api.intake_key = PEM.decode()
        self.api.plans = self.plan
        self.api.start()
        self.start_one("traefik")
        self.start_one("intake")
        self.start_one("guard")
        self.start_one("hub")

    def start_one(self, name: str) -> None:
        bin_folder = Path(sys.executable).parent
        commands = {
            "traefik": lambda: [str(bin_folder / "traefik"), *write_traefik_static(self.places)[1:]],
            "guard": lambda: [sys.executable, "-m", "tre.door.guard"],
            "intake": lambda: [sys.executable, "-m", "tre.door.intake"],
            "hub": lambda: [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "tre/door/hub_config.py")],
        }
        self.processes[name] = Process(
            commands[name](),
            self.settings.state / f"{name}.log",
            env=self.settings.environment() | {"JUPYTERHUB_CRYPT_KEY": ""},
            cwd=self.settings.state,
        )
        ready = {
            "traefik": lambda: not is_free(self.places.public_port),
            "guard": lambda: accepts(self.settings.guard_socket),
            "intake": lambda: accepts(self.places.intake_admin),
            "hub": self.hub_answers,
        }
        try:
            wait_for(ready[name], name, 60)
        except TimeoutError as late:
            raise TimeoutError(f"{name}: {self.log(name)}") from late

    def hub_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/hub/login", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def log(self, name: str) -> str:
        return (self.settings.state / f"{name}.log").read_text(errors="replace")[-6000:]

    def stop(self) -> None:
        for name in ("hub", "guard", "intake", "traefik"):
            if name in self.processes:
                self.processes[name].stop()
        for plan in self.plans:
            self.runtime.stop({"workspace_id": plan["workspace_id"]})
        self.api.stop()
        shutil.rmtree(self.settings.state.parent, ignore_errors=True)

    def add_person(self, name: str, *projects: str) -> None:
        listed = [{"slug": slug, "title": slug.title(), "startable": True, "reason": ""} for slug in projects]
        self.api.people[name] = {
            "username": name,
            "active": True,
            "session_round": 0,
            "roles": ["researcher"],
            "projects": listed,
        }
        self.api.passwords[name] = (PASSWORD, CODE)

    def plan(self, username: str, project: str) -> dict:
        import json

        workspace_id = secrets.token_hex(8)
        home = self.settings.homes / project / username
        home.mkdir(parents=True, exist_ok=True)
        plan = LaunchPlan(
            workspace_id=workspace_id,
            person=username,
            project=project,
            home=str(home),
            base_url=f"/user/{username}/{project}/",
            intake_socket=str(self.settings.intake_sockets / workspace_id / "intake.sock"),
            jupyter_token=secrets.token_urlsafe(32),
            secrets={"intake.token": good(workspace_id)},
        )
        self.plans.append(json.loads(plan.to_json()))
        return self.plans[-1]

    def home(self, username: str, project: str) -> Path:
        return self.settings.homes / project / username


class Person:
    """Somebody at the Hub with a browser that only speaks HTTP."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.name = name
        self.http = httpx.Client(
            base_url=platform.url,
            follow_redirects=True,
            timeout=90,
            headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"},
        )

    def sign_in(self, password: str = PASSWORD, totp: str = CODE) -> httpx.Response:
        form = self.http.get("/hub/login")
        return self.http.post(
            "/hub/login",
            data={"_xsrf": hidden(form), "username": self.name, "password": password, "totp": totp},
        )

    def start(self, project: str) -> httpx.Response:
        page = self.http.get("/hub/home")
        answer = self.http.post(f"/hub/spawn/{self.name}/{project}", data={"_xsrf": hidden(page)})
        for _ in range(120):
            if "http-equiv" not in answer.text:
                return answer
            time.sleep(0.25)
            answer = self.http.get(answer.url)
        raise TimeoutError(answer.text)

    def stop(self, project: str) -> httpx.Response:
        page = self.http.get("/hub/home")
        return self.http.post(f"/hub/stop/{self.name}/{project}", data={"_xsrf": hidden(page)})

    def api(self, project: str, method: str, path: str, **more) -> httpx.Response:
        """As Lab's own pages ask."""
        base = f"/user/{self.name}/{project}/"
        token = next((c.value for c in self.http.cookies.jar if c.name == "_xsrf" and c.path == base), "")
        headers = {"Sec-Fetch-Mode": "cors", "Accept": "*/*", "X-XSRFToken": token} | more.pop("headers", {})
        return self.http.request(method, urljoin(base, path), headers=headers, **more)


def hidden(page: httpx.Response) -> str:
    found = re.search(r'name="_xsrf" value="([^"]*)"', page.text)
    assert found, page.text
    return html.unescape(found[1])


def new_platform() -> Platform:
    settings = door_settings("tre-hub-")
    Places(settings).prepare()
    return Platform(settings, InternalApi(settings.internal_socket))
