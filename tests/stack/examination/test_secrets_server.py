"""A real OpenBao with TLS and the Kubernetes auth method; the API server that it asks about tokens is a stand-in."""

import contextlib
import datetime
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import hvac
import pytest

from tests.fixtures.folders import new_settings
from tests.fixtures.openbao import running_openbao
from tests.stack.examination.house import Authority, Pair, Web, review, token, web
from tre.credentials import policies
from tre.credentials.client import connect
from tre.credentials.files import write_secret
from tre.errors import InvalidInput, Unavailable
from tre.settings import SecretsServer, Settings
from tre.stack import openbao, process
from tre.stack.examination.finding import Finding, Level, exit_code
from tre.stack.examination.secrets_server import Seen, judge, judge_certificate, look, look_at_certificate
from tre.stack.examination.servers import examine_secrets_server
from tre.stack.ports import free_ports

REVIEW = ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")


@dataclass
class House:
    """A secrets server with our role in it, and the token of a pod."""

    server: SecretsServer
    kubernetes: Web
    ca: Path

    def shows(self, text: str) -> None:
        write_secret(Path(self.server.token_file), text)

    def findings(self, **changes: str) -> list[Finding]:
        server = replace(self.server, **changes)
        return judge(server, look(server, sign_in=True))

    def wrong(self, **changes: str) -> Finding:
        """The one that is."""
        (found,) = [one for one in self.findings(**changes) if one.level is not Level.ok]
        return found


def auth_method(kubernetes: Web, ca: Path) -> Callable[[hvac.Client], None]:
    def make(client: hvac.Client) -> None:
        client.sys.enable_auth_method("kubernetes")
        own = {"kubernetes_host": kubernetes.url, "kubernetes_ca_cert": ca.read_text(), "disable_local_ca_jwt": True}
        own |= {"token_reviewer_jwt": token("x")}
        client.adapter.post("/v1/auth/kubernetes/config", json=own)
        role = policies.kubernetes_role("tre-system", "openbao")
        roles = {
            "control-plane": role,
            "poor": {**role, "token_policies": ["nothing"]},
            "whole": {**role, "token_policies": ["root"]},
        }
        for name, each in roles.items():
            with contextlib.suppress(hvac.exceptions.VaultError):
                client.adapter.post(f"/v1/auth/kubernetes/role/{name}", json=each)

    return make


def listening(settings: Settings, pair: Pair, port: int) -> str:
    """The platform's own configuration, and a listener with a certificate as a pod's has one."""
    return openbao.configuration(settings) + (
        f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  tls_cert_file = "{pair.chain}"\n'
        f'  tls_key_file = "{pair.key}"\n}}\n'
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder, settings, port = tmp_path_factory.mktemp("bao"), new_settings(), free_ports(1)
    authority = Authority(folder)
    configuration = openbao.configuration
    patch = pytest.MonkeyPatch()
    pair = authority.pair("localhost")
    text = listening(settings, pair, port)
    patch.setattr(openbao, "configuration", lambda given: text if given == settings else configuration(given))
    try:
        with (
            web({REVIEW: review()}, pair) as kubernetes,
            running_openbao(settings, auth_method(kubernetes, authority.ca)),
        ):
            server = SecretsServer(f"https://localhost:{port}", str(authority.ca), token_file=str(folder / "token"))
            yield House(server, kubernetes, authority.ca)
    finally:
        patch.undo()
        shutil.rmtree(settings.state.parent, ignore_errors=True)


@pytest.fixture
def pod(house: House) -> Iterator[House]:
    """With the token of a pod of ours."""
    house.shows(token("openbao"))
    yield house
    house.kubernetes.answers[REVIEW] = review()


def test_our_role_does_what_it_must(pod: House):
    assert [(one.level.value, one.value) for one in pod.findings()] == [("ok", "openbao.url"), ("ok", "openbao.role")]
    found = examine_secrets_server(pod.server, datetime.datetime.now(datetime.UTC), sign_in=True)
    assert {one.level for one in found} == {Level.ok}
    assert "for 89 more days" in found[0].found


def test_nothing_stays_of_the_trial(pod: House):
    """The session is given back: its token is good for nothing afterwards."""
    kept: list[str] = []
    original = hvac.Client.token.fset
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            hvac.Client,
            "token",
            property(hvac.Client.token.fget, lambda self, value: (kept.append(value), original(self, value))[1]),
        )
        assert look(pod.server, sign_in=True).login == ""
    client = connect(pod.server, [each for each in kept if each and each != "none"][-1])
    with pytest.raises(hvac.exceptions.Forbidden):
        client.auth.token.lookup_self()


def test_a_role_that_is_not_there(pod: House):
    found = pod.wrong(role="nobody")
    assert (found.value, found.kind) == ("openbao.role", InvalidInput)
    assert "no role nobody" in found.found


def test_an_auth_method_that_is_not_there(pod: House):
    assert pod.wrong(mount="elsewhere").value == "openbao.mount"


def test_a_token_of_another_audience(pod: House):
    pod.shows(token("vault"))
    found = pod.wrong()
    assert found.value in ("openbao.audience", "openbao.mount")
    assert "audience vault" in found.found or "than vault" in found.found
    assert "audience" in found.remedy


def test_a_service_account_that_is_not_ours(pod: House):
    pod.shows(token("openbao", account="tre-hub"))
    pod.kubernetes.answers[REVIEW] = review(account="tre-hub")
    found = pod.wrong()
    assert "tre-system/tre-hub" in found.found
    assert found.value in ("openbao.role", "openbao.mount")


def test_an_api_server_that_does_not_let_it_ask(pod: House):
    pod.kubernetes.answers[REVIEW] = (403, {"message": "tokenreviews is forbidden"})
    found = pod.wrong()
    assert found.value == "openbao.mount"
    assert "TokenReview" in found.remedy


def test_no_token_at_all(pod: House, tmp_path: Path):
    found = pod.wrong(token_file=str(tmp_path / "none"))
    assert found.value == "openbao.audience"
    assert "no service account's token" in found.found


def test_a_policy_that_is_too_narrow_says_which_paths(pod: House):
    found = pod.wrong(role="poor")
    assert found.value == "openbao.role"
    for path in ("transit/keys/audit", "kv/metadata/tre/", "database/roles/p_*"):
        assert path in found.found


def test_no_token_is_ever_said(pod: House):
    pod.shows(token("vault"))
    said = " ".join(one.line for one in pod.findings(role="nobody") + pod.findings() + pod.findings(mount="x"))
    assert token("vault") not in said
    assert token("vault").split(".")[1] not in said


def test_a_role_that_gives_everything_is_refused(house: House):
    seen = Seen({"sealed": False, "version": "2.5"}, login="", held=("root",))
    assert judge(house.server, seen)[-1].level is Level.fail


def test_nobody_there():
    server = SecretsServer(f"https://localhost:{free_ports(1)}")
    (found,) = judge(server, look(server, sign_in=True))
    assert (found.value, found.kind, exit_code([found])) == ("openbao.url", Unavailable, 75)
    assert "nobody listens there" in found.found


def test_something_else_there():
    with web({("GET", "/v1/sys/health"): (200, {"hello": "world"})}) as other:
        (found,) = judge(SecretsServer(other.url), look(SecretsServer(other.url), sign_in=False))
    assert "no such server" in found.found


@pytest.mark.parametrize(("since", "until", "said"), [(-400, -3.5, "expired 3 days ago"), (-9, 9.5, "for 9 more days")])
def test_a_certificate_at_its_end(tmp_path: Path, since: float, until: float, said: str):
    """A real server that shows it."""
    settings, port, authority = new_settings(), free_ports(1), Authority(tmp_path)
    text = listening(settings, authority.pair("localhost", since=since, until=until), port)
    server = SecretsServer(f"https://localhost:{port}", str(authority.ca))
    openbao.prepare(settings)
    write_secret(openbao.folder(settings) / "openbao.hcl", text)
    log = settings.logs / "openbao.log"
    child = process.start(openbao.argv(settings), environment=openbao.environment(), log=log, folder=settings.state)
    try:
        end = time.monotonic() + 30
        while (shown := look_at_certificate(server)) is None or shown.away:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        (found,) = judge_certificate(shown, datetime.datetime.now(datetime.UTC))
        seen = judge(server, look(server, sign_in=False))
    finally:
        process.stop(child)
        shutil.rmtree(settings.state.parent, ignore_errors=True)
    assert found.value == "openbao.url"
    assert said in found.found
    if until < 0:
        assert "not believed" in seen[0].found
    else:
        assert "never initialised" in seen[0].found


def test_a_sealed_one_says_so():
    seen = Seen({"sealed": True, "initialized": True, "version": "2.5.1"})
    (found,) = judge(SecretsServer("https://bao"), seen)
    assert (found.found, found.kind) == ("The secrets server (2.5.1) is sealed.", Unavailable)
