"""One judge for all results of an experiment, whatever made them."""

from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.scores import (
    Judge,
    curve_scores,
    judge_extractor,
    style_difference,
)
from kstyle.images.color_spaces import colour_difference
from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.reading import load_picture
from kstyle.lru_cache import LRUCache
from kstyle.runs.job import result_path


class Scorer:
    """Scores and distances of trials by the `scores.Judge` of their two pictures.

    folder: the experiment's, in which each record's `picture` lies.
    """

    def __init__(self, folder):
        self.folder = folder
        self.judges = LRUCache(4)
        self.seen = LRUCache(16)

    def picture(self, record):
        """The result of a finished trial as it was saved: `(height, width, 3)`."""
        return load_picture(self.folder / record["picture"]).pixels

    def judge(self, config, size):
        """The judge for a result of `size`: the whole painting at the result's scale,
        whatever size or crop of it the trial was shown."""

        def make():
            content = resize(load_picture(config.content).pixels, size)
            style = load_picture(config.style).pixels
            edge = min(config.size, max(style.shape[:2]))
            style = resize(style, fit_long_edge(style.shape[:2], edge))
            return Judge(content, style, judge_extractor())

        return self.judges.get((config.content, config.style, size), make)

    def scores(self, picture, curve, config):
        """Every score of a trial's result and curve, in the order of `SCORES`."""
        found = self.judge(config, picture.shape[:2]).scores(picture)
        found |= curve_scores(curve)
        return {name: float(found[name]) for name in SCORES if name in found}

    def distance(self, configs):
        """A function from (measure, record, record) to a number, for verdicts.

        configs: `{trial name: config}`. The network looks at each picture once.
        """

        def look(record):
            picture = self.picture(record)
            judge = self.judge(configs[record["trial"]], picture.shape[:2])
            return judge.look(picture)

        def measure(kind, a, b):
            if kind == "colour":
                first, second = self.picture(a), self.picture(b)
                # A size may be what varies.
                return colour_difference(first, resize(second, first.shape[:2]))
            seen = [self.seen.get(r["trial"], lambda r=r: look(r)) for r in (a, b)]
            return style_difference(*seen)

        return measure


def score_run(record):
    """`{name: float}`: the judge's scores of the result of a run's record.

    Raises: ConfigError, ImageError: it is not there, or too small to be judged.
    """
    config = record["config"]
    picture = load_picture(result_path(config, record["folder"])).pixels
    found = Scorer(record["folder"]).judge(config, picture.shape[:2]).scores(picture)
    return {name: float(found[name]) for name in SCORES if name in found}
