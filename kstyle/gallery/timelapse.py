"""A film of a run from its snapshots: GIF, animated WebP, or MP4."""

import dataclasses
import fractions
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from kstyle.config.option_types import counted
from kstyle.errors import ConfigError, ImageError
from kstyle.files import atomic_path
from kstyle.gallery.run_list import snapshot_files
from kstyle.hardware.host import require_package
from kstyle.images.picture import Picture, fit_long_edge, resize
from kstyle.images.reading import load_picture
from kstyle.images.writing import check_target
from kstyle.runs.job import result_path
from kstyle.runs.provenance import RunRecord, read_run

FRAMES_PER_SECOND = fractions.Fraction(25, 2)  # 80 ms: GIF counts in 10 ms
START_SECONDS = 0.7  # in which the first picture stands still
END_SECONDS = 1.5  # in which the result does
WIPE_SECONDS = 2.0  # of the divider from the result to the photograph and back
DEFAULT_EDGES = {".gif": 480, ".webp": 640, ".mp4": 1080}  # px, at most the result's
MAX_FILM_EDGE = 4096  # px
MAX_SECONDS = 120.0
MAX_FILM_BYTES = 2**31  # of all frames; GIF and WebP are written from memory
BESIDE_GAP = 0.02  # between two pictures, of the width of one
WEBP_QUALITY = 80
MP4_QUALITY = "20"  # constant rate factor of x264: 0 (lossless) to 51

BeforeAfter = Literal["none", "beside", "wipe"]


@dataclasses.dataclass(frozen=True)
class FilmPlan:
    """The pictures of a film, and when each is shown.

    pictures: uint8 `(height, width, 3)`, all of one size, from the first to the last.
    content: the photograph at the same size, for `before_after`. seconds: of the whole
        film, with the time in which its first and its last picture stand still.
    """

    pictures: Sequence[np.ndarray]
    content: np.ndarray
    seconds: float
    before_after: BeforeAfter

    def frame_count(self) -> int:
        """Return how many frames the film has."""
        return max(2, round(self.seconds * FRAMES_PER_SECOND))

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames, uint8 `(height, width, 3)`."""
        wipe = WIPE_SECONDS if self.before_after == "wipe" else 0.0
        still = START_SECONDS + END_SECONDS + wipe
        # Shorter films keep their proportions.
        share = min(1.0, self.seconds / (2 * still))
        start, end, wipe = (s * share for s in (START_SECONDS, END_SECONDS, wipe))
        moving = self.seconds - start - end - wipe
        for number in range(self.frame_count()):
            time = float(number / FRAMES_PER_SECOND)
            place = np.clip((time - start) / moving, 0, 1) * (len(self.pictures) - 1)
            frame = blend(self.pictures, float(place))
            if self.before_after == "beside":
                frame = beside(self.content, frame)
            elif wipe and time > self.seconds - wipe:
                done = (time - (self.seconds - wipe)) / wipe
                frame = split(self.content, frame, float(np.sin(np.pi * done)))
            yield frame


def blend(pictures: Sequence[np.ndarray], place: float) -> np.ndarray:
    """Return the mixture of two neighbours at `place`, from 0 to the last index."""
    below = min(int(place), len(pictures) - 1)
    share = place - below
    if not share:
        return pictures[below]
    mixed = (1 - share) * pictures[below] + share * pictures[below + 1]
    return np.rint(mixed).astype(np.uint8)


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return two pictures of one size side by side, with a white gap."""
    height, width = left.shape[:2]
    gap = np.full((height, max(2, round(BESIDE_GAP * width)), 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def split(left: np.ndarray, right: np.ndarray, share: float) -> np.ndarray:
    """Return one picture: the left `share` of its width from `left`, a white line, and
    the rest from `right`."""
    edge = round(share * left.shape[1])
    frame = np.concatenate([left[:, :edge], right[:, edge:]], axis=1)
    if edge:
        frame[:, max(0, edge - 1) : edge + 1] = 255
    return frame


def write_timelapse(
    run: str | Path,
    output: str | Path,
    *,
    seconds: float = 8.0,
    size: int | None = None,
    before_after: BeforeAfter = "none",
    overwrite: bool = False,
) -> Path:
    """Write a film of a run from its initial picture to its result; return its path.

    run: its folder, or its `run.json`. output: a .gif, .webp or .mp4 file. size: long
        edge of the picture in pixels; `None`: that of the result, at most one that
        suits the format (`DEFAULT_EDGES`). before_after: "none"; "beside": the
        photograph stands at the left; "wipe": at the end a divider moves from the
        result to the photograph and back.
    Raises: ConfigError: an argument is not usable, the run has no snapshots, or the
        package that writes MP4 is missing. ImageError: a picture cannot be read, or
        the film not be written.
    """
    output = Path(output)
    write = film_writer(output)
    check_target(output, overwrite=overwrite)
    check_film_options(seconds, size)
    record = read_run(run)
    plan = plan_film(record, output.suffix.lower(), seconds, size, before_after)
    frames = plan.frames()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(output) as temporary:
            write(temporary, frames)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{output} cannot be written ({reason}).") from error
    return output


def check_film_options(seconds: float, size: int | None) -> None:
    """Refuse a length or a size that no film can have. Raises: ConfigError."""
    if not 0 < seconds <= MAX_SECONDS:
        raise ConfigError(
            f"seconds must be above 0 and at most {MAX_SECONDS:g}. "
            f"Received: {seconds:g}."
        )
    if size is not None and not 16 <= size <= MAX_FILM_EDGE:
        raise ConfigError(
            f"size must be from 16 to {MAX_FILM_EDGE} pixels. Received: {size}."
        )


def plan_film(
    record: RunRecord,
    suffix: str,
    seconds: float,
    size: int | None,
    before_after: BeforeAfter,
) -> FilmPlan:
    """Read the pictures of a run and resample them to the size of the film."""
    folder, config = record["folder"], record["config"]
    files = snapshot_files(folder)
    if len(files) < 2:
        raise ConfigError(
            f"{folder} has {counted(len(files), 'snapshot')}, and a film needs 2. Run "
            "kstyle stylize with a smaller --snapshot-every."
        )
    # The last snapshot of a finished run is its result, but for transparency.
    result = result_path(config.output, folder)
    last = load_picture(result if result.is_file() else files[-1])
    edge = size or min(max(last.size), DEFAULT_EDGES[suffix])
    height, width = fit_long_edge(last.size, edge)
    if suffix == ".mp4":  # colours are stored for 2 x 2 pixels
        height, width = max(2, height // 2 * 2), max(2, width // 2 * 2)
    pixels = 3 * height * width * (2 if before_after == "beside" else 1)
    frames = len(files) + round(seconds * FRAMES_PER_SECOND)
    if pixels * frames > MAX_FILM_BYTES:
        raise ConfigError(
            f"{seconds:g} seconds of {width} x {height} pixels are too much. Choose a "
            "smaller size or fewer seconds."
        )
    shown = functools.partial(levels_over_white, size=(height, width))
    content = load_picture(config.content)
    if config.content_crop is not None:
        content = content.cropped(config.content_crop)
    pictures = [shown(load_picture(file)) for file in files[:-1]] + [shown(last)]
    return FilmPlan(pictures, shown(content), seconds, before_after)


def levels_over_white(picture: Picture, size: tuple[int, int]) -> np.ndarray:
    """Return a picture at `size`, (height, width), over white, as uint8."""
    pixels = resize(picture.over_white(), size)
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def film_writer(output: Path) -> Callable[[Path, Iterator[np.ndarray]], None]:
    """Return the function that writes frames as the type of a file's suffix.

    Raises: ConfigError: it is no type of films, or needs a package that is missing.
    """
    writers: dict[str, Callable[[Path, Iterator[np.ndarray]], None]] = {
        ".gif": write_gif,
        ".webp": write_webp,
        ".mp4": write_mp4,
    }
    suffix = output.suffix.lower()
    if suffix not in writers:
        raise ConfigError(
            f"{output}: {suffix or 'no suffix'} is not a type of films. Use one of "
            f"{', '.join(writers)}."
        )
    if suffix == ".mp4":
        require_package("av", "mp4", f"{output}: an MP4 film")
    return writers[suffix]


def write_gif(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write an endless GIF; every frame has its palette."""
    images = [Image.fromarray(frame).quantize(256) for frame in frames]
    save_animation(path, images, disposal=1)


def write_webp(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write an endless animated WebP."""
    images = [Image.fromarray(frame) for frame in frames]
    save_animation(path, images, quality=WEBP_QUALITY)


def save_animation(path: Path, images: Sequence[Image.Image], **options: Any) -> None:
    """Write images as an endless animation; options: those of the file's type."""
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=frame_milliseconds(),
        loop=0,
        **options,
    )


def frame_milliseconds() -> int:
    """Return how long a frame is shown."""
    return int(1000 / FRAMES_PER_SECOND)


def write_mp4(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write H.264 that browsers and phones play."""
    import av

    first = next(frames)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        # An even width: `beside` adds a gap to two pictures.
        stream.height, stream.width = (edge // 2 * 2 for edge in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": MP4_QUALITY}
        for frame in [first, *frames]:
            frame = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
