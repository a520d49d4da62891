"""The app's web server: pictures, uploads, and the page of `page.py`."""

import contextlib
import functools
import ipaddress
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from nicegui import run, ui
from starlette.staticfiles import StaticFiles

from kstyle.app.access import AccessGuard, is_loopback
from kstyle.app.job_queue import JobQueue
from kstyle.app.page import show_page
from kstyle.app.queue_file import QueueFile
from kstyle.app.state import FILM_FILE, SLOTS, VIEW_EDGE, AppState
from kstyle.errors import ConfigError, KStyleError
from kstyle.files import lock_folder
from kstyle.gallery.run_list import picture_name

STATIC = Path(__file__).parent / "static"
DIVIDER_CSS = Path(__file__).parents[1] / "gallery" / "templates" / "divider.css"
UPLOAD_PATH = "/kstyle/upload"
UPLOAD_SLACK = 1024  # bytes of a request besides its picture
SAMPLE_EDGE = 200  # long edge of a sample's button, px
CARD_EDGE = 480  # of a run in the history
WEBSOCKET_BYTES = 2**20  # of a message of the page
FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#2f62c4"/>'
    '<path d="M7 22q6-15 10-6t8-6" stroke="#ffd166" stroke-width="5" fill="none" '
    'stroke-linecap="round"/></svg>'
)
FOREVER = "private, max-age=31536000, immutable"  # of pictures that never change


def serve(
    logdir: Path,
    host: str,
    port: int,
    token: str | None,
    announce: Callable[[str], None],
) -> None:
    """Serve the app until Ctrl-C.

    token: that browsers must know; it may be `None` on a loopback host only.
    announce: called with the address when the server listens.
    Raises: ConfigError: it cannot listen there, or another app has the folder.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(f"A server on {host} needs a token.")
    # Two apps on one folder would both paint the jobs that wait.
    with (
        lock_folder(logdir),
        contextlib.closing(AppState(logdir, JobQueue(file=QueueFile(logdir)))) as state,
    ):
        app = make_application(state, host=host, token=token)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            lifespan="on",
            ws_max_size=WEBSOCKET_BYTES,
            timeout_graceful_shutdown=2,
        )
        server = AnnouncedServer(config, announce)
        try:
            server.run()
        except SystemExit:  # uvicorn has printed the error of the system
            raise ConfigError(
                f"Cannot listen on {host}, port {port}. Choose another --port, or 0 "
                "for any that is free."
            ) from None


class AnnouncedServer(uvicorn.Server):
    """A server that says where it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self.announce = announce

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            if ipaddress.ip_address(host).is_unspecified:  # every address it has
                host = platform.node()
            shown = f"[{host}]" if ":" in host else host
            self.announce(f"http://{shown}:{port}/")


def make_application(state: AppState, *, host: str, token: str | None) -> Any:
    """Return the ASGI application: the guard, and the app behind it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/kstyle/static", StaticFiles(directory=STATIC))
    add_picture_routes(app, state)
    add_upload_route(app, state)

    @app.get("/kstyle/divider.css")
    def divider_css() -> Response:
        return FileResponse(DIVIDER_CSS, media_type="text/css")

    ui.run_with(
        app,
        root=functools.partial(show_page, state),
        title="kstyle",
        favicon=FAVICON,
        dark=None,  # as the system
        tailwind=False,
        reconnect_timeout=30,
    )
    return AccessGuard(
        app,
        token=token,
        loopback=is_loopback(host),
        upload_path=UPLOAD_PATH,
        max_upload_bytes=state.uploads.max_bytes + UPLOAD_SLACK,
    )


def add_picture_routes(app: FastAPI, state: AppState) -> None:
    """Add the addresses of pictures; a run or a job is looked up by its name."""

    @app.get("/kstyle/samples/{name}.jpg")
    def sample(name: str) -> Response:
        return jpeg(state, f"sample:{name}", SAMPLE_EDGE)

    @app.get("/kstyle/chosen/{slot}.jpg")
    def chosen(slot: str) -> Response:
        path = getattr(state.settings, slot) if slot in SLOTS else ""
        return jpeg(state, path)

    @app.get("/kstyle/jobs/{number}/{kind}.jpg")
    def job_picture(number: int, kind: str) -> Response:
        job = state.job(number)
        if job is None:
            return missing()
        if kind == "content":
            part = job.config.content_crop
            return jpeg(state, job.config.content, VIEW_EDGE, part)
        try:
            data = state.job_picture(job)
        except KStyleError:
            data = None
        return missing() if data is None else Response(data, media_type="image/jpeg")

    @app.get("/kstyle/jobs/{number}/download")
    def job_download(number: int) -> Response:
        job = state.job(number)
        if job is None or job.result is None or not job.result.is_file():
            return missing()
        return result_download(job.result, job.config.content, job.config.style)

    @app.get("/kstyle/runs/{kind}/{key:path}")
    def run_picture(kind: str, key: str) -> Response:
        entry = state.runs.get(key)
        if entry is None:
            return missing()
        config, result = entry.config, entry.result()
        if kind == "content":
            return jpeg(state, config.content, VIEW_EDGE, config.content_crop)
        if kind == "film":
            result = entry.folder / FILM_FILE
        if result is None or not result.is_file():
            return missing()
        if kind in ("download", "film"):
            return result_download(result, config.content, config.style)
        edge = CARD_EDGE if kind == "card" else VIEW_EDGE
        return jpeg(state, str(result), edge)


def jpeg(
    state: AppState, path: str, edge: int = VIEW_EDGE, part: str | None = None
) -> Response:
    """Answer with a small JPEG of a picture file."""
    try:
        data = state.thumbnails.get(path, edge, part)
    except KStyleError:
        return missing()
    headers = {"cache-control": FOREVER} if path.startswith("sample:") else None
    return Response(data, media_type="image/jpeg", headers=headers)


def missing() -> Response:
    """Answer that there is no such picture."""
    return PlainTextResponse("There is no such picture.", 404)


def result_download(path: Path, content: str, style: str) -> Response:
    """Answer with the file of a result, which has its options as metadata."""
    name = f"{picture_name(content)}-{picture_name(style)}{path.suffix}"
    return FileResponse(path, filename=name)


def add_upload_route(app: FastAPI, state: AppState) -> None:
    """Add the address that takes a picture as the body of a request."""

    @app.post(UPLOAD_PATH)
    async def upload(request: Request) -> Response:
        name = unquote(request.headers.get("x-file-name", ""))
        data = await request.body()  # the guard has limited it
        try:
            path = await run.io_bound(state.uploads.add, name, data)
        except KStyleError as error:
            return PlainTextResponse(str(error), 422)
        return JSONResponse({"path": str(path)})
