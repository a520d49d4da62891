"""The scorer: all scores of an experiment's results, and distances for its findings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.experiments.records import Curve, TrialRecord
from kstyle.experiments.scoring.judge import Judge, Representation, style_difference
from kstyle.experiments.scoring.mixtures import Mixture, as_mixture, shrink_style
from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.perceptual import PerceptualJudge
from kstyle.experiments.scoring.scores import curve_scores, pixel_scores
from kstyle.images.color_spaces import colour_difference
from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.reading import load_picture
from kstyle.lru_cache import LRUCache
from kstyle.runs.inputs import read_content
from kstyle.runs.job import result_path

# px: with 1024 x 1024 the features of two pictures take some 3 GB.
MAX_JUDGED_EDGE = 1024

Judges = tuple[Judge, PerceptualJudge]


class Scorer:
    """Scores results, each by the judges of its two pictures; judges are cached.

    folder: the experiment's, to which each record's `picture` is relative.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.judges: LRUCache = LRUCache(4)
        self.representations: LRUCache = LRUCache(16)

    def load_result(self, record: TrialRecord) -> np.ndarray:
        """Load the result of a finished trial as it was saved: `(height, width, 3)`."""
        return load_picture(self.folder / str(record["picture"])).pixels

    def get_judges(self, config: StyleConfig, size: tuple[int, int]) -> Judges:
        """Return the judges for results of `size` (height, width).

        config: of the run. They use the whole style pictures at the result's scale,
        whatever size, crop or region of them the trial used.
        """
        content, crop = config.content, config.content_crop
        styles = tuple(style.picture for style in config.style_sources())
        shares = config.style_shares()

        def make() -> Judges:
            photograph = resize(read_content(content, crop).pixels, size)
            pictures = [load_picture(style).pixels for style in styles]
            return make_judges(photograph, list(zip(shares, pictures, strict=True)))

        return self.judges.get((content, crop, styles, shares, size), make)

    def score(
        self, picture: np.ndarray, config: StyleConfig, curve: Curve | None = None
    ) -> dict[str, float]:
        """Return the scores of a result in the order of `SCORES`.

        A result of more than 1024 pixels is judged at 1024 pixels.
        curve: the run's loss curve; without it there are no scores of its speed.
        """
        size = judged_size(picture.shape[:2])
        judges = self.get_judges(config, size)
        found = judge_picture(resize(picture, size), judges)
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
            size = judged_size(picture.shape[:2])
            judge, _ = self.get_judges(config, size)
            return judge.represent(resize(picture, size))

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


def make_judges(content: np.ndarray, style: np.ndarray | Mixture) -> Judges:
    """Return the two judges of results of the content's size.

    style: at its own size; the whole of it is compared at the results' scale.
    """
    whole = [
        (share, shrink_style(picture, content.shape[:2]))
        for share, picture in as_mixture(style)
    ]
    return Judge(content, whole), PerceptualJudge(content, style)


def judge_picture(picture: np.ndarray, judges: Judges) -> dict[str, float]:
    """Return all scores of a picture of the judges' size but those of speed."""
    judge, perceptual = judges
    found = judge.distances(picture) | perceptual.measures(picture)
    return found | pixel_scores(picture, judge.content)


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
