"""A small oil painter: brush strokes along a flow field, with bristles and relief.

Used by `paintings.py`, for maintainers; kstyle itself never imports it. Points are
arrays of shape (n, 2), x and y in pixels of the finished picture; colours are
RGB in [0, 1]. The canvas is twice that size, and reduced at the end.
"""

import numpy as np
from PIL import Image, ImageDraw

SIZE = (720, 560)  # of every painting
SCALE = 2  # the canvas against the picture: bristles become finer than a pixel
BRISTLE = 2.4  # canvas pixels from one bristle to the next
MARGIN = 30  # strokes start outside the picture too, so that its rim is covered
PATH_POINTS = 15
LIGHT = np.array((-0.6, -0.8))  # the studio lamp, from above on the left


def smooth_noise(rng, period, waves=12):
    """A smooth random function of points, about -1 to 1, without a repeating grid."""
    turn = rng.uniform(0, 2 * np.pi, waves)
    pace = 2 * np.pi / (period * rng.uniform(0.6, 1.8, waves))
    vectors = np.stack((np.cos(turn), np.sin(turn))) * pace
    phase = rng.uniform(0, 2 * np.pi, waves)
    return lambda points: np.sin(points @ vectors + phase).sum(-1) / np.sqrt(waves)


class Palette:
    """Maps tones in [0, 1] to the colours it is given (`#rrggbb`), dark to light."""

    def __init__(self, *colours):
        stops = [[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours]
        self.stops = np.array(stops)

    def __call__(self, tone):
        places = np.linspace(0, 1, len(self.stops))
        return np.stack([np.interp(tone, places, c) for c in self.stops.T], -1)


def blend(first, second, share):
    """`first` where `share` is 0, `second` where it is 1."""
    return first + (second - first) * np.clip(share, 0, 1)[:, None]


def distance(points, x, y):
    """How far each point is from (x, y)."""
    return np.hypot(points[:, 0] - x, points[:, 1] - y)


def upright(points):
    """The direction of strokes that stand."""
    return np.full(len(points), np.pi / 2)


def contour_angle(height):
    """The direction of the contour lines of `height`, as a function of points."""

    def angle(points):
        dx, dy = np.array((1.0, 0.0)), np.array((0.0, 1.0))
        slope_x = height(points + dx) - height(points - dx)
        slope_y = height(points + dy) - height(points - dy)
        return np.arctan2(-slope_x, slope_y)

    return angle


def trace(angle, centres, lengths):
    """Follow the field both ways from the centres: paths of shape (n, points, 2)."""
    half = PATH_POINTS // 2
    step = (lengths / (2 * half))[:, None]

    def walk(sign):
        points, heading = centres, None
        for _ in range(half):
            turn = angle(points)
            ahead = sign * np.stack((np.cos(turn), np.sin(turn)), -1)
            if heading is not None:  # a field of lines has no arrows: never turn back
                ahead *= np.where((ahead * heading).sum(-1) < 0, -1, 1)[:, None]
            heading, points = ahead, points + step * ahead
            yield points

    back = list(walk(-1))[::-1]
    return np.stack([*back, centres, *walk(1)], axis=1)


class Canvas:
    """A primed canvas; strokes are laid on it and `finish` gives the picture."""

    def __init__(self, size, ground, rng):
        self.size, self.rng = size, rng
        # The fourth channel is the thickness of the paint, not an alpha: ImageDraw
        # writes all four as they are, so a new stroke hides what is under it.
        full = (size[0] * SCALE, size[1] * SCALE)
        self.image = Image.new("RGBA", full, (*_bytes(ground), 40))
        self.draw = ImageDraw.Draw(self.image)

    def scatter(self, width, length, coverage):
        """Random stroke centres: so many that they cover the picture `coverage` times.

        They lie one in each cell of a grid, shuffled: random, but without bare patches.
        """
        pitch = np.sqrt(width * length / coverage)
        low, high = -MARGIN, np.array(self.size) + MARGIN
        axes = [np.arange(low, end, pitch) for end in high]
        grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
        return self.rng.permutation(grid + self.rng.uniform(0, pitch, grid.shape))

    def paint(self, centres, width, length, angle, colour, contrast=0.1):
        """Lay one stroke at each centre; `angle` and `colour` are functions of points.

        `contrast` is the difference between the bristles of one brush.
        """
        count = len(centres)
        widths = width * self.rng.uniform(0.6, 1.3, count)
        lengths = length * self.rng.uniform(0.55, 1.35, count)
        paths = trace(angle, centres, lengths) * SCALE
        first, second = colour(centres), colour(centres)  # a brush carries two paints
        for path, breadth, *paints in zip(
            paths, widths * SCALE, first, second, strict=True
        ):
            self._stroke(path, breadth, *paints, contrast)

    def _stroke(self, path, breadth, first, second, contrast):
        """Draw the bristles of one stroke, from one edge of the brush to the other."""
        rng = self.rng
        count = max(3, round(breadth / BRISTLE))
        across = np.linspace(-1, 1, count)
        tangent = np.gradient(path, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
        normal = tangent[:, ::-1] * (-1, 1)
        taper = _taper(len(path), rng)[:, None]
        mix = np.clip(0.5 + 0.5 * across * rng.uniform(-1, 1), 0, 1)
        mix = np.clip(mix + rng.normal(0, 0.16, count), 0, 1)[:, None]
        ridge = contrast * (1 - across**2 - 0.45)  # lighter where the paint is thick
        grain = contrast * rng.normal(0, 0.55, count)
        paints = first * (1 - mix) + second * mix + (ridge + grain)[:, None]
        # Paint is pushed to the edges of the brush, and lies in grooves between.
        heights = 110 + 60 * np.abs(across) ** 3 + rng.normal(0, 26, count)
        heights = np.clip(heights, 30, 250).astype(int)
        for i in rng.permutation(count):
            line = path + normal * (taper * across[i] * breadth / 2)
            start, end = rng.integers(0, 3), len(path) - rng.integers(0, 4)
            points = line[start:end].ravel().tolist()
            fill = (*_bytes(paints[i]), int(heights[i]))
            self.draw.line(points, fill=fill, width=int(rng.integers(3, 5)))

    def finish(self, relief=0.5):
        """The picture: the paint lit from the side, reduced to its size."""
        values = np.asarray(self.image, np.float32) / 255
        thickness = values[..., 3]
        near, far = _blur(thickness, 1), _blur(thickness, 4)
        height = near + 1.5 * far
        slope_y, slope_x = np.gradient(height)
        light = -(slope_x * LIGHT[0] + slope_y * LIGHT[1])
        light = np.tanh(light * 4 * relief) * 0.34
        tooth = _blur(self.rng.normal(0, 1, light.shape).astype(np.float32), 1)
        light += 0.022 * tooth  # the ground's tooth: no patch is quite even
        paint = values[..., :3]
        bright = np.maximum(light, 0)[..., None]
        lit = paint * (1 + light[..., None]) + 0.22 * bright * (1 - paint)
        picture = Image.fromarray(_array_bytes(lit))
        return picture.resize(self.size, Image.Resampling.LANCZOS)


def _taper(count, rng):
    """The breadth along a stroke: round where the brush lands, thin where it leaves."""
    t = np.linspace(0, 1, count)
    if rng.random() < 0.5:
        t = 1 - t
    return np.minimum(1, (t * 5 + 0.25) ** 0.5) * (1 - 0.75 * t**4)


def _blur(values, radius):
    """A box blur, twice: near enough to a Gaussian, and made of NumPy alone."""
    for _ in range(2):
        for axis in (0, 1):
            shifts = range(-radius, radius + 1)
            values = sum(np.roll(values, s, axis) for s in shifts) / (2 * radius + 1)
    return values


def _array_bytes(values):
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _bytes(colour):
    return tuple(_array_bytes(np.asarray(colour)).tolist())
