"""One judge for all results of an experiment, whatever made them."""

from kstyle.experiments.score_names import SCORES
from kstyle.experiments.scores import (
    Judge,
    colour_difference,
    curve_scores,
    judge_extractor,
)
from kstyle.images import load_picture
from kstyle.resize import fit_long_edge, resize
from kstyle.shared import Recent


class Bench:
    """Scores and distances of trials by the `scores.Judge` of their two pictures.

    folder: the experiment's, in which each record's `picture` lies.
    """

    def __init__(self, folder):
        self.folder = folder
        self.judges = Recent(4)
        self.distances = {}

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

    def scores(self, record, config):
        """Every score of a finished trial, in the order of `SCORES`."""
        picture = self.picture(record)
        found = self.judge(config, picture.shape[:2]).scores(picture)
        found |= curve_scores(record["curve"])
        return {name: float(found[name]) for name in SCORES if name in found}

    def distance(self, configs):
        """A function from (measure, record, record) to a number, for verdicts.

        configs: `{trial name: config}`. No pair is measured twice.
        """

        def measure(kind, a, b):
            key = (kind, *sorted((a["trial"], b["trial"])))
            if key not in self.distances:
                first, second = self.picture(a), self.picture(b)
                pictures = first, resize(second, first.shape[:2])  # a size may vary
                if kind == "colour":
                    self.distances[key] = colour_difference(*pictures)
                else:
                    judge = self.judge(configs[a["trial"]], pictures[0].shape[:2])
                    self.distances[key] = judge.style_difference(*pictures)
            return float(self.distances[key])

        return measure
