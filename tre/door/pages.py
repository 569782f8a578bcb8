"""The Hub's own pages for people: projects and their workspaces.

Decides what is shown: each project of the person with its workspace's state, and either a button or the reason why
there is none; and that a link starts nothing. Works without script. Starting and stopping go the Hub's own ways; the
token page and the default server do not exist here.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope
from tornado import web

from tre.door.control_plane import internal_api
from tre.errors import TreError


class ProjectsHandler(BaseHandler):  # type: ignore[misc]
    """`/hub/home`"""

    @web.authenticated
    async def get(self) -> None:
        user = self.current_user
        try:
            found = await internal_api().person(user.name)
            projects, problem, notice = found.get("projects", []), "", str(found.get("notice", ""))
        except TreError as error:
            projects, problem, notice = [], error.message, ""
        rows = [row(user, project) for project in projects]
        known = {project["slug"] for project in projects}
        rows += [
            row(user, {"slug": name, "title": name, "startable": False, "reason": "You are no longer in this project."})
            for name, spawner in user.spawners.items()
            if name and spawner.active and name not in known
        ]
        shown = {"rows": rows, "problem": problem, "notice": notice}
        self.finish(await self.render_template("projects.html", **shown, xsrf=self.xsrf_token.decode("ascii")))


def row(user: Any, project: dict[str, Any]) -> dict[str, Any]:
    """What one line of the page shows."""
    slug = str(project["slug"])
    spawner = user.spawners.get(slug)
    state = "stopped"
    if spawner and spawner.active:
        state = "running" if spawner.ready else "changing"
    return {
        "slug": slug,
        "title": str(project.get("title", slug)),
        "startable": project.get("startable") is True,
        "reason": str(project.get("reason", "")),
        "state": state,
        "url": user.server_url(slug),
    }


class StartHandler(SpawnHandler):  # type: ignore[misc]
    """`/hub/spawn/<name>/<project>`: a look shows a form, the form's `POST` is the Hub's own. JupyterHub itself would
    start the workspace on a mere look, which a link on any page can bring about.
    """

    @web.authenticated
    async def get(self, user_name: str, server_name: str) -> None:
        user = self.current_user
        if user_name != user.name:
            raise web.HTTPError(404)
        spawner = user.spawners.get(server_name)
        if spawner and spawner.active:
            self.redirect(user.server_url(server_name) if spawner.ready else self._get_pending_url(user, server_name))
            return
        try:
            projects = (await internal_api().person(user.name)).get("projects", [])
        except TreError as error:
            raise web.HTTPError(503, error.message) from error
        mine = [row(user, project) for project in projects if project["slug"] == server_name]
        if not mine:
            raise web.HTTPError(404)
        self.finish(await self.render_template("start.html", row=mine[0], xsrf=self.xsrf_token.decode("ascii")))


class StopHandler(BaseHandler):  # type: ignore[misc]
    """`POST /hub/stop/<name>/<project>` from the projects page."""

    @web.authenticated
    async def post(self, user_name: str, server_name: str) -> None:
        await self._stop(user_name=user_name, server_name=server_name)

    @needs_scope("delete:servers")  # type: ignore[untyped-decorator]
    async def _stop(self, user_name: str, server_name: str) -> None:
        user = self.find_user(user_name)
        spawner = user.spawners.get(server_name) if user else None
        if spawner is None or not spawner.ready:
            raise web.HTTPError(404, "This workspace is not running.")
        await self.stop_single_user(user, server_name)
        self.redirect("/hub/home")


class ToProjects(BaseHandler):  # type: ignore[misc]
    @web.authenticated
    def get(self, *_: str) -> None:
        self.redirect("/hub/home")


class NotHere(BaseHandler):  # type: ignore[misc]
    def prepare(self) -> None:
        raise web.HTTPError(404)


def page_handlers() -> list[tuple[str, Any]]:
    """Before the Hub's own handlers, so that these answer."""
    return [
        (r"/home", ProjectsHandler),
        (r"/stop/([^/]+)/([^/]+)", StopHandler),
        (r"/spawn", ToProjects),
        (r"/spawn/([^/]+)", ToProjects),
        (r"/spawn/([^/]+)/([^/]+)", StartHandler),
        (r"/token", NotHere),
        (r"/admin.*", NotHere),
        (r"/accept-share", NotHere),
        (r"/metrics", NotHere),
    ]
