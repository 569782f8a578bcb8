"""The workspace's login for real: leased by the secrets server, used on the data server, gone with the workspace."""

import configparser
import time
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from tests.fixtures.workspaces import Desk
from tests.workspaces.test_service import LOSSES
from tre.credentials import Secrets
from tre.settings import Settings
from tre.workspaces import controller, service
from tre.workspaces.model import WorkspaceState
from tre.workspaces.plan import LaunchPlan


@pytest.fixture
def real(desk: Desk, secrets: Secrets, data_server: Settings) -> Desk:
    secrets.project_prepare("cost")
    # The secrets server counts in the time of this machine.
    desk.people.clock.set(datetime.now(UTC))
    return replace(desk, leases=secrets)  # type: ignore[arg-type]


def login(plan: LaunchPlan, settings: Settings) -> psycopg.Connection:
    """As libpq in the workspace reads the service file, but for where the socket's folder is shown."""
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(plan.secrets["pg_service.conf"])
    service_of = dict(found["project"])
    assert service_of.pop("host") == "/run/tre/postgresql"
    return psycopg.connect(host=str(settings.data_database), autocommit=True, **service_of)


def ended(connection: psycopg.Connection) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("way", ["stop", "report", "loss"])
def test_the_login_works_while_the_workspace_lives_and_ends_with_it(real: Desk, data_server: Settings, way: str):
    plan = real.start()
    real.report(plan.workspace_id, WorkspaceState.running)
    connection = login(plan, data_server)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert real.converge() == 0
    if way == "stop":
        service.stop(real.people.db, real.leases, real.bob, plan.workspace_id, "Done.")
    elif way == "report":
        real.report(plan.workspace_id, WorkspaceState.stopped)
    else:
        LOSSES["project_suspended"](real)
        assert real.converge() == 1
    assert ended(connection)
    with pytest.raises(psycopg.OperationalError):
        login(plan, data_server)
    assert real.workspace(plan.workspace_id).lease_revoked_at is not None


def test_a_login_lives_as_long_as_its_workspace_by_renewal(
    real: Desk, data_server: Settings, monkeypatch: pytest.MonkeyPatch
):
    """A lease of four seconds and a workspace of twelve: the same login, never asked for again, still opens."""
    for module in (service, controller):
        monkeypatch.setattr(module, "LEASE_SECONDS", 4)
    plan = real.start()
    real.report(plan.workspace_id, WorkspaceState.running)
    until = time.monotonic() + 12
    while time.monotonic() < until:
        real.people.clock.set(datetime.now(UTC))
        assert real.converge() == 0
        login(plan, data_server).close()
        time.sleep(0.5)
    time.sleep(5)
    with pytest.raises(psycopg.OperationalError):
        login(plan, data_server)
    real.people.clock.set(datetime.now(UTC))
    assert real.converge() == 1
    assert real.workspace(plan.workspace_id).reason == "Its database login has ended."


def test_the_password_is_written_nowhere(real: Desk):
    plan = real.start()
    password = plan.secrets["pg_service.conf"].partition("password=")[2].strip()
    assert len(password) > 15
    assert password not in str(real.events()) + repr(real.workspace(plan.workspace_id).__dict__) + repr(plan)
    real.report(plan.workspace_id, WorkspaceState.failed, "The sandbox did not start.")


def test_a_revoked_lease_is_revoked_again_without_harm(real: Desk, secrets: Secrets):
    plan = real.start()
    lease_id = real.workspace(plan.workspace_id).lease_id
    assert lease_id is not None
    real.report(plan.workspace_id, WorkspaceState.stopped)
    secrets.revoke(lease_id)
