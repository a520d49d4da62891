"""The three style paintings: what is where, in which colours, with which brushes.

Used by `paint_samples.py`. Each painting is a class whose `angle` and `colour` tell the
painter, for any points of the picture, how the strokes run and what paint they carry.
"""

import numpy as np
from painter import (
    SIZE,
    Canvas,
    Palette,
    blend,
    contour_angle,
    distance,
    smooth_noise,
    upright,
)


class Night:
    """A starry night over a lake: large swirls, deep blues and yellow lights."""

    sky = Palette("#0a1236", "#14286a", "#1c4796", "#2f6db8", "#6ba3cf", "#bcd6cf")
    gold = Palette("#3f78ae", "#7fae9c", "#d8c35a", "#f2b632", "#fbe88a", "#fff8d8")
    hill = Palette("#070d1c", "#0e2033", "#173a4a", "#2b5a5c", "#54806a")
    lamp = Palette("#e8872a", "#f6b93b", "#fff0a8")
    # x, y and radius: the moon, the stars, and two so small that the lake has none
    lights = (
        (590, 105, 62), (95, 80, 34), (215, 165, 26), (330, 62, 30), (455, 190, 24),
        (60, 245, 22), (672, 262, 24), (440, 40, 16), (165, 30, 15),
    )  # fmt: skip
    swirls = ((300, 205, 78, 1.0), (425, 270, 55, -0.9), (150, 300, 60, 0.8))
    shore = 440

    def __init__(self, rng):
        self.rng = rng
        self.drift, self.ripple = smooth_noise(rng, 210), smooth_noise(rng, 60)
        self.angle = contour_angle(self.height)

    def height(self, points):
        """A landscape whose contour lines are the currents of air and water."""
        value = 0.9 * points[:, 1] + 34 * self.drift(points)
        for x, y, reach, sense in self.swirls:
            value += sense * 210 * np.exp(-((distance(points, x, y) / reach) ** 2))
        for x, y, reach in self.lights:
            value += 11 * reach * np.exp(-distance(points, x, y) / reach)
        water = points[:, 1] + 5 * self.ripple(points)
        return np.where(points[:, 1] > self.shore, water, value)

    def colour(self, points):
        """Tones follow the currents, so that light and dark bands wind together."""
        dice = self.rng.normal(0, 1, len(points))
        tone = 0.42 + 0.26 * np.sin(self.height(points) / 13) + 0.13 * dice
        near = [
            np.exp(-((distance(points, x, y) / r) ** 1.6)) for x, y, r in self.lights
        ]
        glow = np.max(near, axis=0) + 0.07 * dice
        result = blend(self.sky(tone), self.gold(glow), (glow - 0.22) * 5)
        ridge = 367 + 30 * self.drift(points * (1, 0)) + 0.05 * points[:, 0]
        tone = 0.5 - (points[:, 1] - ridge) / 225 + 0.12 * dice
        tone += 0.2 * np.sin(self.height(points) / 9)
        result = blend(result, self.hill(tone), points[:, 1] > ridge)
        return blend(result, self.lake(points, dice), points[:, 1] > self.shore)

    def lake(self, points, dice):
        """Dark water; under each light a swaying column of its colour."""
        tone = 0.3 + 0.16 * self.ripple(points * (0.4, 2)) + 0.12 * dice
        result = self.sky(tone)
        for x, _, reach in self.lights[:7]:
            sway = 9 * np.sin(points[:, 1] / 7 + x)
            column = np.exp(-(((points[:, 0] - x + sway) / (0.6 * reach)) ** 2))
            fade = column * (1.05 - (points[:, 1] - self.shore) / 170) + 0.2 * dice
            result = blend(result, self.gold(0.2 + 0.7 * fade), (fade - 0.25) * 3)
        return result

    def paint(self):
        """The sky and the lake with three brushes, then stars and windows."""
        rng, canvas = self.rng, Canvas(SIZE, (0.06, 0.1, 0.25), self.rng)
        for width, length, cover in ((30, 120, 3.5), (13, 70, 2.6), (7, 42, 1.5)):
            spots = canvas.scatter(width, length, cover)
            canvas.paint(spots, width, length, self.angle, self.colour)
        # Strokes that run in rings leave a hole in the middle: dabs fill it.
        eddies = np.repeat([swirl[:2] for swirl in self.swirls], 9, axis=0)
        eddies = eddies + rng.normal(0, 5, eddies.shape)
        canvas.paint(eddies, 6, 16, self.angle, self.colour)
        stars = np.repeat([light[:2] for light in self.lights], 14, axis=0)
        stars = stars + rng.normal(0, 3.5, stars.shape)
        canvas.paint(
            stars, 6, 14, self.angle, lambda p: self.gold(rng.normal(0.9, 0.1, len(p)))
        )
        homes = np.stack((rng.uniform(180, 560, 32), rng.normal(431, 4, 32)), -1)
        canvas.paint(homes, 5, 9, upright, lambda p: self.lamp(rng.random(len(p))))
        return canvas.finish()


class Meadow:
    """Haystacks in a field of poppies: small, dense, warm dabs."""

    air = Palette("#8fb4d6", "#b9cfe0", "#f0dcc0", "#f7e6b8", "#f3c99a")
    wood = Palette("#2a2f57", "#35506b", "#3c6b4b", "#6d8f4a", "#a9b45c")
    grain = Palette("#7a4a26", "#b57a2c", "#d9a23a", "#edc65a", "#f8e59a")
    grass = Palette("#1f3d33", "#34633a", "#5f8f3f", "#98b04a", "#d0c860")
    straw = Palette("#3d2a5c", "#7a3f5a", "#b5622f", "#e39a3c", "#f9d777", "#fdf0b8")
    poppy = Palette("#7d1420", "#c2211f", "#e23b22", "#f26b3a")
    stacks = ((335, 232, 30), (205, 262, 58), (505, 330, 118))  # x, foot, half breadth
    horizon = 205

    def __init__(self, rng):
        self.rng = rng
        self.drift, self.patch = smooth_noise(rng, 260), smooth_noise(rng, 90)
        self.clump = smooth_noise(rng, 45)

    def near(self, points):
        """0 at the horizon, 1 at the painter's feet."""
        return np.clip((points[:, 1] - self.horizon) / 355, 0, 1)

    def treetops(self, points):
        """The y of the top of the wood."""
        flat = points * (1, 0)
        return 168 - 20 * self.drift(flat) - 13 * np.abs(self.clump(flat * 1.3))

    def angle(self, points):
        """Clouds lie, grass stands up towards us, leaves go anywhere, straw hangs."""
        dice, deep = self.rng.normal(0, 1, len(points)), self.near(points)
        lean = 0.3 * dice - 1.45 * deep**0.5 + 0.35 * self.drift(points)
        turn = np.where(deep > 0, lean, 0.8 * dice)
        for x, foot, half in self.stacks:
            across, up = (points[:, 0] - x) / half, (foot - points[:, 1]) / half
            hay = 1.5 + 0.3 * dice - 0.9 * across * (up > 0.6)
            turn = np.where((np.abs(across) < 1) & (up > 0) & (up < 1.45), hay, turn)
        cloud = 0.3 * self.drift(points * 2) + 0.35 * dice
        return np.where(points[:, 1] < self.treetops(points), cloud, turn)

    def colour(self, points):
        """From the back to the front: air, wood, field, haystacks."""
        dice, y = self.rng.normal(0, 1, len(points)), points[:, 1]
        result = self.air(y / 170 + 0.2 * self.drift(points) + 0.2 * dice)
        tone = 0.45 + 0.25 * self.clump(points) + 0.16 * dice - (y - 170) / 120
        result = blend(result, self.wood(tone), y > self.treetops(points))
        edge = (y - self.horizon + 4 * dice) / 5
        result = blend(result, self.field(points, dice), edge)
        for place in self.stacks:
            result = self.stack(points, result, dice, *place)
        return result

    def field(self, points, dice):
        """Corn and grass in drifts that flatten far away, and poppies between."""
        deep = self.near(points)
        rows = points * np.stack((0.35 + 0 * deep, 2.4 - 1.4 * deep), -1)
        tone = 0.55 + 0.2 * self.patch(rows) + 0.2 * dice
        share = 0.25 * (dice + 3 * self.drift(rows)) + 0.4
        result = blend(self.grain(tone), self.grass(tone), share)
        red = 1.1 * self.patch(rows + 300) + 0.8 * dice + 1.6 * deep - 1.7
        tone = 0.5 + 0.25 * self.clump(points) + 0.2 * dice
        return blend(result, self.poppy(tone), red * 9)

    def stack(self, points, below, dice, x, foot, half):
        """A haystack, lit from the left, and its violet shadow to the right."""
        across = (points[:, 0] - x) / half
        up = (foot - points[:, 1]) / half
        wall = np.abs(across) < 0.86 + 0.12 * np.minimum(up, 0.7)
        roof = np.abs(across) < 1.25 * np.maximum(1.45 - up, 0) ** 0.8
        base = up > -0.1 * np.sqrt(np.maximum(1 - across**2, 0))
        shade = (np.abs(across - 0.75 + up) < 0.95) & (up < 0.12) & (up > -0.45)
        result = blend(below, self.straw(0.12 + 0.13 * dice), shade)
        tone = 0.6 - 0.5 * across + 0.12 * (up > 0.75) + 0.13 * dice
        return blend(result, self.straw(tone), wall & roof & base)

    def paint(self):
        """Three small brushes; the foreground keeps the strokes of the broader two."""
        canvas = Canvas(SIZE, (0.62, 0.42, 0.25), self.rng)
        for width, length, cover in ((17, 36, 3), (9, 22, 2.4), (5, 13, 1.5)):
            spots = canvas.scatter(width, length, cover)
            if width == 5:
                chance = 1 - 0.75 * self.near(spots)
                spots = spots[self.rng.random(len(spots)) < chance]
            canvas.paint(spots, width, length, self.angle, self.colour, contrast=0.08)
        return canvas.finish()


class Window:
    """A sun over waves as stained glass: large flat shapes and dark contours."""

    sun, shore = np.array((450.0, 178.0)), 400
    rings = np.array((72, 178, 300, 430, 900))  # where the rings of panes end
    sectors = np.array((1, 12, 15, 20, 25))
    row, breadth = 46, 158  # of a pane in the sea
    # A palette for each band of panes, five rings and then the sea's rows in turn:
    # neighbours in a band take its colours in turn.
    glass = (
        ("#fff0a0",),
        ("#f9c31f", "#d92b2b", "#fbd84a", "#ee6a1f"),
        ("#c81d4a", "#f08a24", "#8e2270", "#e5432f", "#f5b32a"),
        ("#2b7fc0", "#6a2c91", "#17a0a8", "#b3265f", "#2457a8"),
        ("#173f8f", "#1c6fa8", "#3d2a80", "#12306b", "#2690a5"),
        ("#0f7173", "#2fb08a", "#12557a", "#8fcf8a", "#17877f"),
        ("#12406f", "#1d9a8c", "#0b5563", "#3fb9a8", "#1b5f8a"),
    )
    lead = Palette("#06060d", "#14122a", "#33305a")

    def __init__(self, rng):
        self.rng = rng
        self.bend_x, self.bend_y = smooth_noise(rng, 230), smooth_noise(rng, 190)
        self.wash, self.shift = smooth_noise(rng, 80), rng.uniform(0, 1, 40)

    def polar(self, points):
        """Distance from the sun and turn about it, on glass that is a little bent."""
        bend = np.stack((self.bend_x(points), self.bend_y(points)), -1)
        x, y = (points + 12 * bend - self.sun).T
        return np.hypot(x, y), np.arctan2(y, x) / (2 * np.pi) + 0.5

    def depth(self, points):
        """How far below the shore, measured along the waves."""
        x, y = points.T
        swell = 13 * np.sin(x / 62 + y / 90) + 5 * self.bend_y(points)
        return y - self.shore + swell

    def panes(self, points):
        """For each point: its band, the pane's number in it, how far the lead is."""
        reach, turn = self.polar(points)
        ring = np.minimum(np.searchsorted(self.rings, reach), len(self.rings) - 1)
        place = (turn + self.shift[ring]) * self.sectors[ring]
        size = np.where(ring == 0, np.inf, reach * 2 * np.pi / self.sectors[ring])
        rim = np.min(np.abs(reach[:, None] - self.rings), axis=1)
        depth = self.depth(points)
        row, sea = np.maximum(depth // self.row, 0).astype(int), depth > 0
        ford = points[:, 0] / self.breadth + 0.004 * depth + self.shift[10 + row]
        place, size = np.where(sea, ford, place), np.where(sea, self.breadth, size)
        bank = np.minimum(depth % self.row, self.row - depth % self.row)
        side = np.maximum(np.minimum(place % 1, 1 - place % 1), 1e-6) * size
        inside = np.minimum(side, np.where(sea, bank, rim))
        number = np.where(sea, place // 1, place // 1 % self.sectors[ring]).astype(int)
        band = np.where(sea, len(self.rings) + row % 2, ring)
        return band, number, np.minimum(inside, np.abs(depth))

    def angle(self, points):
        """Rays about the sun, rings in it, and waves in the sea."""
        reach, turn = self.polar(points)
        ray = turn * 2 * np.pi + np.where(reach < self.rings[0], np.pi / 2, 0)
        wave = contour_angle(self.depth)(points)
        bent = ray + 0.16 * self.bend_x(points)
        return np.where(self.depth(points) > 0, wave, bent)

    def colour(self, points):
        """The pane's colour, lighter in the middle, washed by light behind it."""
        band, number, inside = self.panes(points)
        tables = [Palette(*row).stops for row in self.glass]
        picks = [
            tables[b][n % len(tables[b])] for b, n in zip(band, number, strict=True)
        ]
        result = np.array(picks) + self.rng.normal(0, 0.04, (len(points), 3))
        dice = self.rng.normal(0, 1, len(points))
        light = 0.16 * self.wash(points) + 0.11 * dice
        light += 0.006 * np.minimum(inside, 40) - 0.13
        target = np.where(light[:, None] > 0, (1.0, 0.97, 0.85), (0.03, 0.02, 0.12))
        return blend(result, target, np.abs(light))

    def paint(self):
        """The panes with three brushes, then the lead between them."""
        canvas = Canvas(SIZE, (0.08, 0.07, 0.1), self.rng)
        for width, length, cover in ((26, 70, 3.2), (13, 46, 2.6), (7, 30, 1)):
            spots = canvas.scatter(width, length, cover)
            spots = spots[self.panes(spots)[2] > 0.16 * length]  # keep to one pane
            canvas.paint(spots, width, length, self.angle, self.colour)
        spots = canvas.scatter(9, 26, 12)
        spots = spots[self.panes(spots)[2] < 3.5]
        along = contour_angle(lambda points: self.panes(points)[2])
        canvas.paint(
            spots, 9, 30, along, lambda p: self.lead(self.rng.normal(0.4, 0.25, len(p)))
        )
        return canvas.finish()


PAINTINGS = {"night": Night, "meadow": Meadow, "window": Window}
