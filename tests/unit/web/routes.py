"""Every route of the program behind the tick, from the program itself."""

from fastapi.routing import APIRoute

from functions.app.application import App
from functions.config.settings import Settings
from functions.web import assistants, reference
from functions.web.api import build_api
from functions.web.api.dependencies import add_routes
from functions.web.dashboard import add_dashboard
from tests.conftest import NOON
from tests.unit.web.api.conftest import ADMIN


def all_routes() -> list[APIRoute]:
    """The routes of the API, of assistants, of the dashboard and of the reference."""
    settings = Settings.from_env({"STORE_URL": "sqlite:///:memory:", "API_KEY": ADMIN}, serves_http=False)
    behind = App(settings, clock=lambda: NOON)
    app = build_api(behind, admin_key=ADMIN, version="0", clock=lambda: 0.0)
    add_dashboard(app, behind)
    add_routes(app, assistants.router, reference.router)
    return [route for route in app.routes if isinstance(route, APIRoute)]
