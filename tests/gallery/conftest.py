"""A run's folder as a run leaves it, made without running."""

import numpy as np
import pytest

import kstyle
from kstyle.runs.provenance import write_run_record


@pytest.fixture
def logs(tmp_path):
    """The folder of the runs that `finished_run` makes."""
    return tmp_path / "logs"


@pytest.fixture
def finished_run(tmp_path, logs):
    """A function that makes a run from black to white in three snapshots; its folder.

    The photograph is red, 4 x 8 pixels; so are all other pictures.
    """
    kstyle.save_picture(tmp_path / "red.png", flat((1, 0, 0)))
    kstyle.save_picture(tmp_path / "blue.png", flat((0, 0, 1)))

    def make(name="run", *, begun="2026-01-02T03:04:05+00:00", exit="finished", **more):
        folder = logs / name
        (folder / "snapshots").mkdir(parents=True)
        pictures = {"content": tmp_path / "red.png", "style": tmp_path / "blue.png"}
        config = kstyle.StyleConfig(**({k: str(v) for k, v in pictures.items()} | more))
        for step, level in ((0, 0.0), (10, 0.5), (20, 1.0)):
            path = folder / "snapshots" / f"step_{step:06d}.png"
            kstyle.save_picture(path, flat((level, level, level)))
        kstyle.save_picture(folder / "result.png", flat((1, 1, 1)))
        write_run_record(
            folder,
            {
                "config": config.model_dump(mode="json"),
                "pictures": {},
                "weights": "",
                "weights_source": "builtin",
                "versions": {},
                "machine": "x86_64",
                "begun": begun,
                "exit": exit,
                "error": None,
                "steps": 20,
                "seconds": 65.0,
                "losses": {"loss": 1234.5},
            },
        )
        return folder

    return make


def flat(colour):
    """Return 4 x 8 pixels of one colour."""
    return np.broadcast_to(np.float32(colour), (4, 8, 3)).copy()
