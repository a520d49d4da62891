"""The server of TensorBoard's tab "kstyle": its files, runs, scalars and pictures.

TensorBoard imports this module whenever it starts, so it imports nothing large. All
data come from TensorBoard's data provider, which works with both of its loaders.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from kstyle.errors import ConfigError
from kstyle.tensorboard_plugin.names import DESCRIPTION_TAG, PAGE_FOLDER, PLUGIN_NAME

TYPES = {".js": "text/javascript", ".css": "text/css"}
IMAGE_TYPES = {
    b"\x89PNG\r\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}
SOURCE_TAG = "source/content"  # an image of every run, also of earlier versions
MAX_PICTURES = 1000  # of a tag; TensorBoard keeps 10 without --samples_per_plugin
MAX_POINTS = 1000  # of a curve
CACHE_SECONDS = 86_400  # a picture's address has the time at which it was written

Request = wrappers.Request
Answer = Callable[[Request], wrappers.Response]


class KstylePlugin(base_plugin.TBPlugin):
    """TensorBoard's tab "kstyle". context: TensorBoard's `TBContext`."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: base_plugin.TBContext) -> None:
        self.data = context.data_provider

    def is_active(self) -> bool:
        """Return true: without runs of kstyle the tab says so, and is not hidden."""
        return True

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        return base_plugin.FrontendMetadata(
            es_module_path="/static/index.js", tab_name="kstyle", disable_reload=True
        )

    def get_plugin_apps(self) -> dict[str, Any]:
        return {
            "/static/*": as_application(serve_file),
            "/runs": as_application(self.serve_runs),
            "/scalars": as_application(self.serve_scalars),
            "/picture": as_application(self.serve_picture),
        }

    def serve_runs(self, request: Request) -> wrappers.Response:
        """Answer with every run: name, description and addresses of its pictures."""
        place = data_place(request)
        pictures = self.data.read_blob_sequences(
            **place,
            plugin_name="images",
            downsample=MAX_PICTURES,
        )
        found = self.read_descriptions(place, pictures)
        runs = [
            {
                "name": name,
                **found[name],
                "pictures": {
                    tag: [picture_entry(each) for each in series]
                    for tag, series in pictures.get(name, {}).items()
                },
            }
            for name in sorted(found)
        ]
        return http_util.Respond(request, json.dumps(runs), "application/json")

    def read_descriptions(
        self, place: Mapping[str, Any], pictures: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return `{run: description}`, see `kstyle.runs.hyperparameters`.

        A run of an earlier version has none; its options are taken from its text.
        """
        series = self.data.list_tensors(
            **place,
            plugin_name=PLUGIN_NAME,
            run_tag_filter=provider.RunTagFilter(tags=[DESCRIPTION_TAG]),
        )
        found = {
            run: json.loads(tags[DESCRIPTION_TAG].plugin_content)
            for run, tags in series.items()
        }
        earlier = [
            run
            for run, tags in pictures.items()
            if SOURCE_TAG in tags and run not in found
        ]
        if earlier:
            texts = self.data.read_tensors(
                **place,
                plugin_name="text",
                downsample=1,
                run_tag_filter=provider.RunTagFilter(runs=earlier, tags=["config"]),
            )
            for run in earlier:
                series = texts.get(run, {}).get("config")
                text = series[-1].numpy.item() if series else b""
                found[run] = {"options": parse_config_text(text.decode("utf-8"))}
        return found

    def serve_scalars(self, request: Request) -> wrappers.Response:
        """Answer with the curves of the run `?run=`: `{tag: [steps, values]}`."""
        found = self.data.read_scalars(
            **data_place(request),
            plugin_name="scalars",
            downsample=MAX_POINTS,
            run_tag_filter=provider.RunTagFilter(runs=[request.args.get("run", "")]),
        )
        curves = {
            tag: [[point.step for point in points], [finite(p.value) for p in points]]
            for tags in found.values()
            for tag, points in tags.items()
        }
        return http_util.Respond(request, json.dumps(curves), "application/json")

    def serve_picture(self, request: Request) -> wrappers.Response:
        """Answer with the picture that `?key=` names."""
        try:
            data = self.data.read_blob(
                plugin_util.context(request.environ),
                blob_key=request.args.get("key", ""),
            )
        except (ValueError, errors.PublicError):
            data = b""
        kind = next((IMAGE_TYPES[m] for m in IMAGE_TYPES if data.startswith(m)), None)
        if kind is None:
            return not_found(request)
        return http_util.Respond(request, data, kind, expires=CACHE_SECONDS)


def as_application(answer: Answer) -> Any:
    """Return a WSGI application that answers GET requests by a function."""
    return Request.application(answer)


def serve_file(request: Request) -> wrappers.Response:
    """Answer with a file of the folder `static`."""
    name = request.path.rpartition("/static/")[2]
    files = {path.name: path for path in PAGE_FOLDER.iterdir() if path.suffix in TYPES}
    if name not in files:
        return not_found(request)
    return http_util.Respond(
        request, files[name].read_bytes(), TYPES[Path(name).suffix]
    )


def not_found(request: Request) -> wrappers.Response:
    """Return the answer to a request for what does not exist."""
    return http_util.Respond(request, "Not found", "text/plain", code=404)


def data_place(request: Request) -> dict[str, Any]:
    """Return the arguments of the data provider that say what is asked for by whom."""
    return {
        "ctx": plugin_util.context(request.environ),
        "experiment_id": plugin_util.experiment_id(request.environ),
    }


def picture_entry(datum: provider.BlobSequenceDatum) -> dict[str, Any]:
    """Return step and address of a picture; an image has width and height before it."""
    query = {"key": datum.values[-1].blob_key, "written": datum.wall_time}
    return {"step": datum.step, "url": f"picture?{urlencode(query)}"}


def finite(value: float) -> float | None:
    """Return a number for JSON, `None` for NaN and infinities."""
    return value if value - value == 0 else None


def parse_config_text(text: str) -> dict[str, Any]:
    """Return the options in the text of a run's config: YAML, four spaces before it."""
    from kstyle.config.strict_yaml import read_yaml  # not at TensorBoard's start

    lines: Iterable[str] = text.splitlines()
    code = "\n".join(line[4:] for line in lines if line.startswith("    "))
    try:
        options = read_yaml(code)
    except ConfigError:
        options = None
    return options if isinstance(options, dict) else {}
