"""Runs outside the main thread: in threads, in asyncio, in a spawned process."""

import asyncio
import concurrent.futures
import multiprocessing

import numpy as np
import pytest
from painting import paint


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
