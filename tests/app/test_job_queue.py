"""The queue of the app, with a worker that the test plays and with a real one."""

import multiprocessing
import time

import pytest

import kstyle
from kstyle.app.job_queue import AppJob, JobQueue
from kstyle.app.messages import (
    Continue,
    Ended,
    LivePicture,
    Note,
    Pause,
    Paused,
    Progress,
    Ready,
    Started,
    StartRun,
    Stop,
)
from kstyle.app.queue_file import QUEUE_FILE, QueueFile
from kstyle.errors import ConfigError

READY = Ready("float32", {"float32": 0.1}, 10**9)


def wait_until(condition, seconds=10):
    """Wait at most `seconds` until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


class PlayedWorker:
    """The worker's end of the pipe, in the hands of the test; also its process."""

    def __init__(self):
        self.starts, self.exitcode = 0, -9
        self.pipe = None

    def start(self):
        self.starts += 1
        ours, self.pipe = multiprocessing.Pipe()
        return ours, self

    def send(self, *messages):
        wait_until(lambda: self.pipe is not None)
        for message in messages:
            self.pipe.send(message)

    def receive(self):
        assert self.pipe.poll(10)
        return self.pipe.recv()

    def die(self):
        pipe, self.pipe = self.pipe, None
        pipe.close()

    def join(self):
        pass

    def terminate(self):
        pass


@pytest.fixture
def worker():
    return PlayedWorker()


@pytest.fixture
def queue(worker):
    made = JobQueue(worker.start)
    yield made
    if worker.pipe is not None:
        worker.die()
    made.close()


@pytest.fixture
def config():
    return kstyle.StyleConfig()


def test_a_job_is_sent_followed_and_ended(queue, worker, config, tmp_path):
    job = queue.add(config)
    assert job.status == "waiting"
    worker.send(READY)
    assert worker.receive() == StartRun(config.model_dump(mode="json"))
    assert job.status == "preparing"
    progress = Progress(5, 100.0, 40.0, 50.0, 2.0, 7.5)
    worker.send(Started(tmp_path, 60, 0), progress, LivePicture(5, b"jpeg"))
    wait_until(lambda: job.picture is not None)
    assert (job.status, job.step, job.steps) == ("running", 5, 60)
    assert job.curve == [progress] and job.folder == tmp_path
    worker.send(Note("smaller"), Ended("finished", None, tmp_path / "a.png", 5))
    wait_until(lambda: job.ended)
    assert job.status == "finished" and job.result == tmp_path / "a.png"
    assert job.notes == ["smaller"] and queue.machine.available_bytes == 5


def test_jobs_run_one_at_a_time_in_their_order(queue, worker, config):
    first, second = queue.add(config), queue.add(config.replace(size=64))
    worker.send(READY)
    assert worker.receive().config["size"] == 512
    assert (queue.current, queue.waiting()) == (first, [second])
    worker.send(Ended("failed", "no"))
    assert worker.receive().config["size"] == 64
    assert first.status == "failed" and first.error == "no"


def test_a_job_is_paused_continued_and_stopped(queue, worker, config, tmp_path):
    job = queue.add(config)
    worker.send(READY)
    worker.receive()
    queue.pause()  # too early: it has no step yet
    worker.send(Started(tmp_path, 60, 0))
    wait_until(lambda: job.status == "running")
    queue.pause()
    assert worker.receive() == Pause() and job.status == "pausing"
    worker.send(Paused())
    wait_until(lambda: job.status == "paused")
    queue.proceed()
    assert worker.receive() == Continue() and job.status == "running"
    queue.stop()
    assert worker.receive() == Stop() and job.status == "stopping"
    worker.send(Ended("interrupted", None, tmp_path / "a.png"))
    wait_until(lambda: job.ended)
    assert job.status == "interrupted"


def test_an_unfinished_run_is_resumed_once(queue, worker, config, tmp_path):
    queue.resume(tmp_path, config)
    with pytest.raises(ConfigError, match="in the queue already"):
        queue.resume(tmp_path, config)
    worker.send(READY)
    assert worker.receive() == StartRun(None, tmp_path)


def test_a_resumed_job_has_its_earlier_losses(queue, worker, config, tmp_path):
    rows = ["step,loss,content/a,style/a,style/b,raw/style/a,tv"]
    rows += ["0,9.0,2.0,3.0,4.0,70.0,0.0", "10,6.0,1.0,2.0,3.0,50.0,0.0", "20,3"]
    (tmp_path / "losses.csv").write_text("\r\n".join(rows))
    job = queue.resume(tmp_path, config)
    worker.send(READY, Started(tmp_path, 60, 15))
    wait_until(lambda: job.status == "running")
    shown = [(each.step, each.loss, each.content, each.style) for each in job.curve]
    assert shown == [(0, 9.0, 2.0, 7.0), (10, 6.0, 1.0, 5.0)]


def test_jobs_that_wait_survive_the_app(worker, config, tmp_path):
    logs = tmp_path / "logs"
    queue = JobQueue(worker.start, QueueFile(logs))
    for size in (64, 65):
        queue.add(config.replace(size=size))
    queue.resume(tmp_path, config)
    worker.send(READY)
    assert worker.receive().config["size"] == 64
    worker.send(Started(tmp_path / "run", 60, 0))  # it has a folder, so it is no loss
    wait_until(lambda: queue.current.status == "running")
    worker.send(Ended("interrupted"))
    queue.close()

    entries = (logs / QUEUE_FILE).read_text().replace('"size":65', '"size":-1', 1)
    assert entries != (logs / QUEUE_FILE).read_text()
    later = JobQueue(worker.start, QueueFile(logs))
    assert [job.config.size for job in later.jobs] == [65, 512]
    assert later.jobs[1].folder == tmp_path and later.jobs[1].resumed
    for job in list(later.jobs):
        assert job.config.logdir == str(logs)
        later.remove(job)
    assert not (logs / QUEUE_FILE).exists()
    later.close()

    (logs / QUEUE_FILE).write_text(entries)
    assert len(QueueFile(logs).read()) == 1  # what is not valid is left out
    (logs / QUEUE_FILE).write_text("{")
    assert QueueFile(logs).read() == []


def test_a_waiting_job_can_be_removed_but_no_running_one(queue, worker, config):
    first, second = queue.add(config), queue.add(config)
    worker.send(READY)
    worker.receive()
    queue.remove(first)
    queue.remove(second)
    assert queue.jobs == [first]


def test_a_worker_that_dies_fails_its_job_and_is_replaced(queue, worker, config):
    first, second = queue.add(config), queue.add(config)
    worker.send(READY)
    worker.receive()
    worker.die()
    wait_until(lambda: worker.starts == 2)
    assert first.status == "failed" and "lack of memory" in first.error
    worker.send(READY)
    worker.receive()
    assert second.status == "preparing"


def test_a_worker_that_never_gets_ready_is_given_up(queue, worker, config):
    job = queue.add(config)
    for starts in (1, 2):
        wait_until(lambda n=starts: worker.starts == n and worker.pipe is not None)
        worker.die()
    wait_until(lambda: queue.broken is not None)
    assert job.status == "failed"
    with pytest.raises(ConfigError, match="Start kstyle app again"):
        queue.add(config)


def test_the_queue_is_bounded(queue, config):
    for _ in range(50):
        queue.add(config)
    with pytest.raises(ConfigError, match="50 jobs are waiting"):
        queue.add(config)


def test_a_long_curve_is_thinned(config):
    job = AppJob(1, config)
    for step in range(5000):
        job.add_progress(Progress(step, 1.0, 1.0, 1.0, 1.0, 1.0))
    assert 1000 <= len(job.curve) <= 2000
    assert job.curve[0].step == 0 and job.curve[-1].step == 4999


@pytest.mark.end_to_end
def test_a_real_worker_paints_pauses_stops_and_resumes(small_run):
    config = kstyle.StyleConfig(**small_run | {"steps": 4000})
    queue = JobQueue()
    try:
        job = queue.add(config)
        wait_until(lambda: job.step > 0, 120)
        queue.pause()
        wait_until(lambda: job.status == "paused", 30)
        step = job.step
        time.sleep(0.5)
        assert job.step == step > 0 and job.picture.jpeg[:2] == b"\xff\xd8"
        queue.stop()
        wait_until(lambda: job.ended, 60)
        assert job.status == "interrupted" and job.result.is_file()
        rest = queue.resume(job.folder, config)
        wait_until(lambda: rest.status == "running", 60)
        assert rest.step >= step
    finally:
        queue.close()
    assert rest.status == "interrupted"  # closing keeps the picture
