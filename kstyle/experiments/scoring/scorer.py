"""The scorer: all scores of an experiment's results, and distances for its findings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.experiments.records import Curve, TrialRecord
from kstyle.experiments.scoring.judge import Judge, Representation, style_difference
from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.perceptual import PerceptualJudge
from kstyle.experiments.scoring.scores import curve_scores, pixel_scores
from kstyle.images.color_spaces import colour_difference
from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.reading import load_picture
from kstyle.lru_cache import LRUCache
from kstyle.runs.job import result_path

# px: with 1024 x 1024 the features of two pictures take some 3 GB.
MAX_JUDGED_EDGE = 1024


class Scorer:
    """Scores results, each by the two judges of its pictures; judges are cached.

    folder: the experiment's, to which each record's `picture` is relative.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.judges: LRUCache = LRUCache(4)
        self.perceptual_judges: LRUCache = LRUCache(4)
        self.representations: LRUCache = LRUCache(16)

    def load_result(self, record: TrialRecord) -> np.ndarray:
        """Load the result of a finished trial as it was saved: `(height, width, 3)`."""
        return load_picture(self.folder / str(record["picture"])).pixels

    def get_judge(
        self, content: str, style: str, edge: int, size: tuple[int, int]
    ) -> Judge:
        """Return the judge for results of `size` (height, width).

        content, style, edge: the options `content`, `style` and `size` of the run.
        The whole style picture is used, at the result's scale, whatever size or crop
        of it the trial used.
        """

        def make() -> Judge:
            photograph = resize(load_picture(content).pixels, size)
            painting = load_picture(style).pixels
            long_edge = min(edge, max(painting.shape[:2]))
            painting = resize(painting, fit_long_edge(painting.shape[:2], long_edge))
            return Judge(photograph, painting)

        return self.judges.get((content, style, edge, size), make)

    def get_perceptual_judge(
        self, config: StyleConfig, size: tuple[int, int]
    ) -> PerceptualJudge:
        """Return the `PerceptualJudge` for pictures of `size` (height, width)."""

        def make() -> PerceptualJudge:
            content = resize(load_picture(config.content).pixels, size)
            return PerceptualJudge(content, load_picture(config.style).pixels)

        return self.perceptual_judges.get((config.content, config.style, size), make)

    def score(
        self, picture: np.ndarray, config: StyleConfig, curve: Curve | None = None
    ) -> dict[str, float]:
        """Return the scores of a result in the order of `SCORES`.

        The published measures are of the picture at no more than 1024 pixels.
        curve: the run's loss curve; without it there are no scores of its speed.
        """
        judge = self.get_judge(
            config.content, config.style, config.size, picture.shape[:2]
        )
        found = judge.distances(picture) | pixel_scores(picture, judge.content)
        size = judged_size(picture.shape[:2])
        perceptual = self.get_perceptual_judge(config, size)
        found |= perceptual.measures(resize(picture, size))
        if curve is not None:
            found |= curve_scores(curve)
        return ordered_scores(found)

    def distance_function(
        self, configs: Mapping[str, StyleConfig]
    ) -> Callable[[str, TrialRecord, TrialRecord], float]:
        """Return the `distance` of `findings.quantities`: of two records' pictures.

        configs: `{trial name: config}`. Representations of pictures are cached.
        """

        def represent(record: TrialRecord) -> Representation:
            picture, config = self.load_result(record), configs[record["trial"]]
            judge = self.get_judge(
                config.content, config.style, config.size, picture.shape[:2]
            )
            return judge.represent(picture)

        def cached_representation(record: TrialRecord) -> Representation:
            return self.representations.get(record["trial"], lambda: represent(record))

        def distance(measure: str, a: TrialRecord, b: TrialRecord) -> float:
            if measure == "style":
                return style_difference(
                    cached_representation(a), cached_representation(b)
                )
            first, second = self.load_result(a), self.load_result(b)
            # The trials may differ in the size of their results.
            return colour_difference(first, resize(second, first.shape[:2]))

        return distance


def judged_size(
    size: tuple[int, int], long_edge: int = MAX_JUDGED_EDGE
) -> tuple[int, int]:
    """Return `size` (height, width), shrunk to `long_edge` if it is larger."""
    return fit_long_edge(size, long_edge) if max(size) > long_edge else size


def ordered_scores(found: Mapping[str, float]) -> dict[str, float]:
    """Return the scores in the order of `SCORES`, as floats."""
    return {name: float(found[name]) for name in SCORES if name in found}


def score_run(record: Mapping[str, Any]) -> dict[str, float]:
    """Return `{name: float}`: the scores of the result of a run's record (`read_run`).

    Raises: ConfigError, ImageError: there is no result, or it is too small.
    """
    config = record["config"]
    picture = load_picture(result_path(config.output, record["folder"])).pixels
    return Scorer(record["folder"]).score(picture, config)
