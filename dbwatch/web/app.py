"""Owns the routes. Every answer comes from memory: no request reaches a database or waits for a check.

What takes time (joining, compressing, rendering) runs in worker threads; the health routes answer from the event loop,
so that they answer even when every worker is busy.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dbwatch.exposition import CompatPages, Exposition, Format, NoSuchPageError, NotCollectedError, negotiate
from dbwatch.report.statuspage import StatusPage
from dbwatch.store import Store
from dbwatch.web.encoding import accepts_gzip, respond
from dbwatch.web.headers import content_security_policy

_NOT_KEPT = {"cache-control": "no-store"}
# A browser sends its stored password with whatever a foreign page makes it post; who posts by hand sends none of these.
_SENT_BY_A_BROWSER = ("origin", "referer", "sec-fetch-site")


def create_app(
    store: Store,
    exposition: Exposition,
    *,
    compat: CompatPages | None = None,
    ready: Callable[[], bool],
    alive: Callable[[], bool],
    document: Callable[[], Mapping[str, object]],
    reload: Callable[[], list[str]] | None = None,
) -> Starlette:
    """The daemon's web application. `reload` gives the problems that kept the old configuration."""
    answers = _Answers(store, exposition, ready, alive, document, compat)
    routes = [
        Route("/", answers.page),
        Route("/metrics", answers.metrics),
        Route("/healthz", answers.healthz),
        Route("/readyz", answers.readyz),
        Route("/api/v1/status", answers.status),
        Route("/sd", answers.service_discovery),
        Route("/compat/{exporter}", answers.compat),
        Route("/compat/{exporter}/{target}", answers.compat),
    ]
    if reload is not None:
        routes.append(Route("/-/reload", _reloading(reload), methods=["POST"]))
    app = Starlette(routes=routes)
    # A path is what it says; a redirect would be built from the Host header of whoever asks.
    app.router.redirect_slashes = False
    return app


class _Answers:
    def __init__(
        self,
        store: Store,
        exposition: Exposition,
        ready: Callable[[], bool],
        alive: Callable[[], bool],
        document: Callable[[], Mapping[str, object]],
        compat: CompatPages | None,
    ) -> None:
        self._compat = compat if compat is not None else CompatPages(store)
        self._store = store
        self._exposition = exposition
        self._ready = ready
        self._alive = alive
        self._document = document
        self._page = StatusPage()

    def metrics(self, request: Request) -> Response:
        form = negotiate(request.headers.get("accept", ""))
        zipped = accepts_gzip(request)
        headers = {"vary": "accept, accept-encoding", "content-type": str(form), **_NOT_KEPT}
        if zipped:
            headers["content-encoding"] = "gzip"
        return Response(self._exposition.page(form is Format.OPENMETRICS, gzip=zipped), headers=headers)

    def compat(self, request: Request) -> Response:
        """In the text format to everybody: the other has no counter whose name does not end in _total."""
        zipped = accepts_gzip(request)
        exporter, target = request.path_params["exporter"], request.path_params.get("target")
        try:
            page = self._compat.page(exporter, target, gzip=zipped)
        except NoSuchPageError as error:
            return PlainTextResponse(f"{error}\n", status_code=404, headers=_NOT_KEPT)
        except NotCollectedError as error:
            return PlainTextResponse(f"{error}\n", status_code=503, headers={"retry-after": "15", **_NOT_KEPT})
        headers = {"vary": "accept-encoding", "content-type": str(Format.TEXT), **_NOT_KEPT}
        if zipped:
            headers["content-encoding"] = "gzip"
        return Response(page, headers=headers)

    def status(self, request: Request) -> Response:
        text = json.dumps(self._document(), allow_nan=False, separators=(",", ":"))
        return respond(request, text, "application/json", _NOT_KEPT)

    def page(self, request: Request) -> Response:
        refreshing = request.query_params.get("refresh") != "off"
        policy = content_security_policy(self._page.style_hash)
        headers = {"content-security-policy": policy, **_NOT_KEPT}
        return respond(request, self._page.render(self._store.views(), refreshing=refreshing), "text/html", headers)

    async def healthz(self, _: Request) -> Response:
        return _light(self._alive(), "ok", "the scheduler has not ticked lately")

    async def readyz(self, _: Request) -> Response:
        return _light(self._ready(), "ready", "the first pass over all checks is not done")

    async def service_discovery(self, request: Request) -> Response:
        # The address this very connection came in on: it is reachable for who asks, and nobody can choose it for us.
        host, port = request.scope["server"]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        labels = {"__scheme__": "https"} if request.scope["scheme"] == "https" else {}
        exporter = request.query_params.get("compat")
        if exporter is None:
            return Response(json.dumps([{"targets": [address], "labels": labels}]), media_type="application/json")
        try:
            targets = self._compat.targets(exporter)
        except NoSuchPageError as error:
            return PlainTextResponse(f"{error}\n", status_code=404, headers=_NOT_KEPT)
        pages = [(f"/compat/{exporter}/{target.name}", target.address) for target in targets]
        named = [{**labels, "__metrics_path__": path, "instance": instance} for path, instance in pages]
        answer = json.dumps([{"targets": [address], "labels": own} for own in named])
        return Response(answer, media_type="application/json")


def _light(on: bool, good: str, bad: str) -> Response:
    return PlainTextResponse(f"{good if on else bad}\n", status_code=200 if on else 503, headers=_NOT_KEPT)


def _reloading(reload: Callable[[], list[str]]) -> Callable[[Request], Response]:
    under_way = threading.Lock()

    def endpoint(request: Request) -> Response:
        if any(name in request.headers for name in _SENT_BY_A_BROWSER):
            return PlainTextResponse("a web page may not reload the configuration\n", status_code=403)
        # Reloads that wait for each other would hold every worker.
        if not under_way.acquire(blocking=False):
            return PlainTextResponse("a reload is under way\n", status_code=503, headers={"retry-after": "1"})
        try:
            problems = reload()
        finally:
            under_way.release()
        if problems:
            return PlainTextResponse("".join(f"{problem}\n" for problem in problems), status_code=500)
        return PlainTextResponse("reloaded\n")

    return endpoint
