"""Whatever the OpenAPI documents allow, and what they do not, is answered without a 500 and in our form.

Three examples per operation, two hundred with TRE_TEST_LONG=1.
"""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.api.conftest import Api
from tests.api.test_routes import CLIENTS
from tre.api.app import PREFIX, internal_app, public_app

EXAMPLES = 200 if os.environ.get("TRE_TEST_LONG") else 3


class Late:
    """The application of the test that runs now; when the document is read, one without a platform."""

    app: ASGIApp = public_app(None)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


late = Late()
schema = schemathesis.openapi.from_asgi(f"{PREFIX}/openapi.json", late)
internal = schemathesis.openapi.from_dict(internal_app(None).openapi())  # type: ignore[arg-type]
internal.app = late
bounded = settings(
    max_examples=EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def check(response: Any, case: Any) -> None:
    assert response.status_code < 500, (case.method, case.path, case.path_parameters, case.body, response.text)
    if response.status_code >= 400:
        assert set(response.json()) == {"error"}, response.text
        assert response.json()["error"]["message"]


@schema.parametrize()
@bounded
def test_no_request_breaks_the_api(case: Any, api: Api):
    """As an administrator, so that what is generated reaches the services."""
    late.app = api.client.app
    check(case.call(headers={"Authorization": f"Bearer {api.token('ada')}"}), case)
    if case.path.endswith("/sign-out"):
        api.tokens.clear()


@internal.parametrize()
@bounded
def test_no_request_breaks_the_internal_api(case: Any, api: Api):
    late.app = api.internal.app
    client = CLIENTS[case.path.removeprefix("/internal")]
    check(case.call(headers={"Authorization": f"Bearer {api.clients[client]}"}), case)
