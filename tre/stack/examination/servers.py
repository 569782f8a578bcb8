"""Every server that the settings name, asked with whatever logins are here.

Decides which questions a place can ask: a pod holds the logins of its own part, an administrator's machine those that
the release's Secret shows. What is not here is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tre.errors import InvalidInput, TreError
from tre.settings import Bucket, IdentityProvider, PostgresServer, SecretsServer, Settings
from tre.settings.bucket import KEY_FILE
from tre.settings.identity import SECRET_FILE
from tre.stack.examination import clocks, databases, identity, names, object_storage, secrets_server
from tre.stack.examination.clocks import Clock
from tre.stack.examination.finding import Finding, failures, wrong
from tre.stack.examination.logins import Login
from tre.stack.examination.names import Named
from tre.store.migrate import revisions
from tre.workspaces.nodes import HOLDS

STATE, DATA = "postgresql.state", "postgresql.data"
HUB_URL = "hub-database.url"
#: The login of who works with the tables.
WORKS = "state-tre_app.pgpass"


def logins(settings: Settings) -> list[Login]:
    """Those whose password is here. Raises `InvalidInput` where the hub's URL is none."""
    state, data = settings.state_server, settings.data_server
    listed = [
        Login(STATE, "tre_app", "tre", WORKS, state, settings.state_conninfo("tre_app")),
        Login(STATE, "tre_owner", "tre", "state-tre_owner.pgpass", state, settings.state_conninfo("tre_owner")),
        Login(DATA, "tre_admin", "datasets", "data-tre_admin.pgpass", data, settings.data_conninfo("tre_admin")),
    ]
    found = [login for login in listed if settings.secret_file(login.secret).exists()]
    if settings.secret_file(HUB_URL).exists():
        found.append(hub_login(settings.secret_file(HUB_URL).read_text().strip(), state))
    return found


def hub_login(url: str, server: PostgresServer) -> Login:
    """SQLAlchemy's URL is libpq's, but for the driver's name. Where the authority lies is for the place to know."""
    scheme, _, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"postgresql://{rest}" if scheme.startswith("postgresql") else url)
        named = {key: str(given[key]) for key in ("user", "dbname", "host")}
    except (KeyError, ValueError, TypeError):
        raise unusable_url() from None
    except Exception as error:
        # psycopg's own words would repeat the URL, and a password is in it.
        raise unusable_url() from error
    if "sslrootcert" in given and server.sslrootcert:
        given["sslrootcert"] = server.sslrootcert
    own = PostgresServer(named["host"], int(str(given.get("port", 5432))), str(given.get("sslmode", "prefer")))
    return Login(STATE, named["user"], named["dbname"], HUB_URL, own, make_conninfo("", **given))


def unusable_url() -> InvalidInput:
    return InvalidInput(
        f"{HUB_URL} of that Secret is no URL of a database.",
        field="postgresql.logins",
        hint="As in postgresql+psycopg://tre_hub:PASSWORD@HOST:5432/tre_hub?sslmode=verify-full&sslrootcert=FILE",
    )


def examine_databases(
    settings: Settings, asked: Iterable[Login], now: datetime, *, canary: bool, coming: bool = False
) -> list[Finding]:
    """Server by server: its certificate, then each session. What a bad certificate explains is not said again."""
    found: list[Finding] = []
    by_server: dict[str, list[Login]] = {}
    for login in asked:
        by_server.setdefault(login.value, []).append(login)
    for value, here in by_server.items():
        server = settings.state_server if value == STATE else settings.data_server
        held = databases.judge_certificate(value, server, databases.look_at_certificate(server), now)
        told = [each for login in here for each in examine_login(login, canary=canary, coming=coming)]
        if failures(held):
            told = [each for each in told if "certificate" not in each.found]
        found += [*held, *told]
    return found


def examine_login(login: Login, *, canary: bool, coming: bool) -> list[Finding]:
    """One session and what it may; of who works with the tables the schema and the canary's word, too."""
    works = login.secret == WORKS
    seen = databases.look(login, revision=works, nodes=works and canary)
    found = databases.judge(login, seen, revisions(), coming=coming)
    if login.secret != HUB_URL:
        found += clocks.judge({f"{login.value}.host": seen.clock})
    if canary and works and not seen.refused and seen.nodes is not None:
        found.append(databases.judge_nodes(seen.nodes, HOLDS.total_seconds()))
    return found


def examine_secrets_server(server: SecretsServer, now: datetime, *, sign_in: bool) -> list[Finding]:
    shown = secrets_server.look_at_certificate(server)
    found = secrets_server.judge_certificate(shown, now)
    if failures(found):
        return found
    seen = secrets_server.look(server, sign_in=sign_in)
    return [*found, *secrets_server.judge(server, seen), *clocks.judge({"openbao.url": seen.clock})]


def examine_provider(provider: IdentityProvider, now: datetime) -> list[Finding]:
    shown = identity.look_at_certificate(provider)
    found = identity.judge_certificate(shown, now)
    if failures(found):
        return found
    seen = identity.look(provider)
    clock: dict[str, Clock | None] = {"oidc.issuer": seen.clock}
    return [*found, *identity.judge(provider, seen), *clocks.judge(clock)]


def examine_storage(settings: Settings, bucket: Bucket, now: datetime, *, writes: bool) -> list[Finding]:
    shown = object_storage.look_at_certificate(bucket)
    found = object_storage.judge_certificate(shown, now)
    if failures(found):
        return found
    seen = object_storage.look(object_storage.shelf_of(settings, bucket), writes=writes)
    return [*found, *object_storage.judge(seen), *clocks.judge({"content.bucket.endpoint": seen.clock})]


def asks_storage(settings: Settings) -> Bucket | None:
    """The bucket, where its keys are here."""
    return settings.bucket if settings.secret_file(KEY_FILE).exists() else None


def examine_names(settings: Settings, cidrs: Mapping[str, str]) -> list[Finding]:
    listed = [
        Named(STATE, "host", settings.state_server.host, cidrs.get(STATE, "")),
        Named(DATA, "host", settings.data_server.host, cidrs.get(DATA, "")),
    ]
    if isinstance(settings.openbao, SecretsServer):
        host = urlsplit(settings.openbao.url).hostname or ""
        listed.append(Named("openbao", "url", host, cidrs.get("openbao", "")))
    if settings.identity_provider and settings.secret_file(SECRET_FILE).exists():
        host = urlsplit(settings.identity_provider.issuer).hostname or ""
        listed.append(Named("oidc", "issuer", host, cidrs.get("oidc", "")))
    if bucket := asks_storage(settings):
        listed.append(Named("content.bucket", "endpoint", bucket.host, cidrs.get("content.bucket", "")))
    return [names.judge(one, names.look(one.host)) for one in listed]


def examine(settings: Settings, cidrs: Mapping[str, str], *, coming: bool = False) -> list[Finding]:
    """Everything that can be asked from here. `coming`: of an installation that is to be, which makes the schema."""
    now = datetime.now(UTC)
    found = examine_names(settings, cidrs)
    try:
        asked = logins(settings)
    except TreError as error:
        asked = []
        found.append(wrong("logins", error.field, error.message, error.hint, type(error)))
    for value, server in ((STATE, settings.state_server), (DATA, settings.data_server)):
        found += databases.judge_mode(value, server)
    found += examine_databases(settings, asked, now, canary=True, coming=coming)
    if isinstance(settings.openbao, SecretsServer):
        signs = Path(settings.openbao.token_file).exists()
        found += examine_secrets_server(settings.openbao, now, sign_in=signs)
    if settings.identity_provider and settings.secret_file(SECRET_FILE).exists():
        found += examine_provider(settings.identity_provider, now)
    if bucket := asks_storage(settings):
        found += examine_storage(settings, bucket, now, writes=True)
    return found
