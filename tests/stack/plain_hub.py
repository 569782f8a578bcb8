"""JupyterHub as it comes: Traefik in front, SimpleLocalProcessSpawner, the same workspace environment, no walls."""

import json
import sys
import tempfile
from pathlib import Path

import httpx
import toml

from tests.door.parts import ROOT, Process, is_free, wait_for
from tre.door.places import Places
from tre.door.proxy import traefik_static
from tre.settings import Settings
from tre.stack.platform import PORTS
from tre.stack.ports import free_ports

SITE = next((Path(sys.prefix) / "lib").glob("python3*/site-packages"))
#: The workspace's environment has no JupyterHub: the platform's is looked into last.
SINGLE_USER = f"import sys; sys.path.append({str(SITE)!r}); from jupyterhub.singleuser import main; main()"


class PlainHub:
    """`PORTS` ports as ours: the people's, the Hub's, and at the end the proxy's API."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tre-plain-", dir="/tmp"))
        settings = Settings(state=self.folder / "state", run=self.folder / "run", port=free_ports(PORTS))
        self.places = Places(settings)
        self.places.prepare()
        self.url = f"http://127.0.0.1:{self.places.public_port}"
        self.processes: list[Process] = []

    def __enter__(self) -> "PlainHub":
        try:
            self._start()
        except BaseException:
            self.__exit__()  # nothing of it stays where it does not come up
            raise
        return self

    def _start(self) -> None:
        static = traefik_static(self.places)
        del static["entryPoints"]["http"]["http"]["middlewares"]  # ours
        self.places.traefik_static.write_text(toml.dumps(static))
        self.places.traefik_rules.touch()
        traefik = str(Path(sys.executable).parent / "traefik")
        self._run([traefik, f"--configfile={self.places.traefik_static}"], "traefik")
        wait_for(lambda: not is_free(self.places.public_port), "traefik", 30)
        config = self.folder / "config.py"
        traits = self.folder / "traits.json"
        traits.write_text(json.dumps(self._traits()))
        config.write_text(
            f"import json\nfor name, found in json.load(open({str(traits)!r})).items(): c[name].update(found)"
        )
        self._run([sys.executable, "-m", "jupyterhub", "-f", str(config)], "hub")
        wait_for(self._answers, "plain hub", 60)

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.stop()

    def _answers(self) -> bool:
        """Through the proxy, which learns the Hub's route a moment after the Hub listens."""
        try:
            return httpx.get(f"{self.url}/hub/login", follow_redirects=True, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _run(self, command: list[str], name: str) -> None:
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(self.folder)}
        self.processes.append(Process(command, self.folder / f"{name}.log", env=environment, cwd=self.folder))

    def _traits(self) -> dict[str, dict[str, object]]:
        loopback = f"http://127.0.0.1:{self.places.hub_port}"
        return {
            "JupyterHub": {
                "bind_url": self.url,
                "hub_bind_url": loopback,
                "hub_connect_url": loopback,
                "db_url": f"sqlite:///{self.folder}/hub.sqlite",
                "cookie_secret_file": str(self.folder / "cookie-secret"),
                "authenticator_class": "dummy",
                "spawner_class": "simple",
                "proxy_class": "traefik_file",
                "allow_named_servers": True,
            },
            "Authenticator": {"allow_all": True},
            "Spawner": {"cmd": [str(ROOT / ".workspace-env/bin/python"), "-c", SINGLE_USER], "default_url": "/lab"},
            "SimpleLocalProcessSpawner": {"home_dir_template": str(self.folder / "{username}")},
            "TraefikFileProviderProxy": {
                "should_start": False,
                "dynamic_config_file": str(self.places.traefik_rules),
                "traefik_api_url": f"http://127.0.0.1:{self.places.traefik_api_port}",
                "traefik_api_username": "jupyterhub",
                "traefik_api_password": "plain",
            },
        }
