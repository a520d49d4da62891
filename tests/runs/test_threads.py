"""Runs in threads, in asyncio, in a spawned process; and with threads of TensorFlow."""

import asyncio
import concurrent.futures
import multiprocessing

import numpy as np
import pytest
from painting import paint, paint_three_times

from kstyle import save_picture


def test_runs_in_threads_have_the_bits_of_the_main_thread(small_run):
    expected, main = paint(small_run)
    assert main
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(paint, [small_run] * 2))
    for pixels, main in found:
        assert not main
        np.testing.assert_array_equal(pixels, expected)


def test_a_run_in_asyncio_to_thread_leaves_the_loop_free(small_run):
    async def both():
        run = asyncio.create_task(asyncio.to_thread(paint, small_run))
        turns = 0
        while not run.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns, await run

    turns, (pixels, main) = asyncio.run(both())
    assert turns > 3 and not main
    assert pixels.shape == (12, 18, 3)


@pytest.mark.end_to_end
def test_a_run_in_a_spawned_process_has_the_same_bits(small_run):
    expected, _ = paint(small_run)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        pixels, main = pool.submit(paint, small_run).result(timeout=300)
    assert main
    np.testing.assert_array_equal(pixels, expected)


@pytest.fixture
def heard_threads(monkeypatch):
    """A spawned process has the threads that it asks for: conftest.py allows one."""
    for kind in ("INTRA", "INTER"):
        monkeypatch.delenv(f"TF_NUM_{kind}OP_THREADS")


@pytest.mark.end_to_end
@pytest.mark.usefixtures("heard_threads")
def test_large_pictures_have_the_same_bits_with_threads(small_run, random_picture):
    # Large enough for TensorFlow to add gradients in the order in which they come.
    save_picture(small_run["content"], random_picture(384, 512))
    more = {"size": 512, "scales": 1, "steps": 2, "checkpoint_every": "1"}
    layers = {"content_layers": "conv1_1", "style_layers": "conv1_1"}
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        for precision in ("float32", "bfloat16"):
            options = small_run | more | layers | {"precision": precision}
            runs = pool.submit(paint_three_times, options, 4).result(timeout=300)
            first, *others = runs
            for pixels, losses in others:
                np.testing.assert_array_equal(pixels, first[0])
                assert losses == first[1]
