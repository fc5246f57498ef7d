"""Jobs: one heavy and one light at a time, prompt cancelling, nothing after a cancel."""

import threading
import time

import pytest

from engine.errors import RunError
from gui.jobs import Job


def test_a_job_delivers_every_tick_and_its_result(qtbot, jobs, counting, fake_model):
    job = Job(counting(steps_wanted=5), fake_model)
    ticks = []
    job.updated.connect(lambda _, new: ticks.extend(new))
    with qtbot.waitSignal(job.finished, timeout=3000) as done:
        jobs.submit(job)
    assert done.args[0].count == 5
    assert [tick.step for tick in ticks] == [1, 2, 3, 4, 5]
    assert job.progress == 1.0
    assert not jobs.running


def test_cancel_is_prompt_and_delivers_the_result_so_far_once(qtbot, jobs, counting, fake_model):
    job = Job(counting(steps_wanted=1_000_000_000), fake_model)
    jobs.submit(job)
    qtbot.waitUntil(lambda: job.tick is not None, timeout=3000)
    after = []
    asked = time.perf_counter()
    with qtbot.waitSignal(job.cancelled, timeout=3000) as stopped:
        job.cancel()
        job.updated.connect(lambda *args: after.append(args))
    assert time.perf_counter() - asked < 0.2
    assert stopped.args[0].count >= 1
    qtbot.wait(70)
    assert after == []


def test_a_second_heavy_job_waits_and_a_light_one_does_not(qtbot, jobs, counting, fake_model):
    long = counting(steps_wanted=1_000_000_000)
    first, second = Job(long, fake_model), Job(long, fake_model)
    light = Job(long, fake_model, heavy=False)
    for job in (first, second, light):
        jobs.submit(job)
    assert [first.state, second.state, light.state] == ["running", "waiting", "running"]
    first.cancel()
    qtbot.waitUntil(lambda: second.state == "running", timeout=3000)
    assert jobs.stop_all(2.0)


def test_a_waiting_job_can_be_cancelled(qtbot, jobs, counting, fake_model):
    long = counting(steps_wanted=1_000_000_000)
    jobs.submit(Job(long, fake_model))
    second = jobs.submit(Job(long, fake_model))
    with qtbot.waitSignal(second.cancelled, timeout=1000):
        second.cancel()
    assert jobs.waiting == []


def test_a_background_job_steps_aside_and_starts_again(qtbot, jobs):
    begun = []

    def slow(watch, report):
        begun.append(1)
        until = time.monotonic() + (5.0 if len(begun) == 1 else 0.0)
        while time.monotonic() < until:
            watch()
            time.sleep(0.005)
        return "checked"

    background = jobs.do(slow, "Self-check", heavy=True, background=True)
    qtbot.waitUntil(lambda: bool(begun), timeout=3000)
    with qtbot.waitSignal(background.finished, timeout=4000) as done:
        asked = jobs.do(lambda watch, report: "mine", "Mine", heavy=True)
        with qtbot.waitSignal(asked.finished, timeout=3000):
            pass
    assert done.args[0] == "checked"
    assert len(begun) == 2


def test_a_failed_run_hands_over_its_error_and_its_result_so_far(qtbot, jobs, counting, fake_model):
    job = Job(counting(mode="fail"), fake_model)
    with qtbot.waitSignal(job.failed, timeout=3000) as failed:
        jobs.submit(job)
    error, partial = failed.args
    assert isinstance(error, RunError)
    assert partial.count == 2


def test_live_changes_reach_the_run(qtbot, jobs, counting, fake_model):
    job = Job(counting(steps_wanted=1_000_000_000), fake_model)
    jobs.submit(job)
    qtbot.waitUntil(lambda: job.tick is not None, timeout=3000)
    job.send({"speed": 0.5})
    qtbot.waitUntil(lambda: job.tick is not None and job.tick.metrics["speed"] == 0.5, timeout=3000)
    assert job.worker.changes[0][1] == {"speed": 0.5}


@pytest.mark.parametrize("number", [1, 3])
def test_stop_all_ends_every_thread_in_time(qtbot, jobs, counting, fake_model, number):
    before = threading.active_count()
    for _ in range(number):
        jobs.submit(Job(counting(steps_wanted=1_000_000_000), fake_model))
    asked = time.perf_counter()
    assert jobs.stop_all(0.2)
    assert time.perf_counter() - asked < 0.2
    assert threading.active_count() == before


def test_signals_arrive_on_the_thread_of_the_window(qtbot, jobs, counting, fake_model):
    seen = []
    job = Job(counting(), fake_model)
    job.finished.connect(lambda _: seen.append(threading.current_thread()))
    with qtbot.waitSignal(job.ended, timeout=3000):
        jobs.submit(job)
    assert seen == [threading.main_thread()]


# holding


def step_of(job):
    return job.tick.step if job.tick is not None else 0


def test_a_paused_run_stands_still_goes_step_by_step_and_on(qtbot, jobs, counting, fake_model):
    job = jobs.submit(Job(counting(steps_wanted=1_000_000_000), fake_model))
    qtbot.waitUntil(lambda: job.tick is not None, timeout=3000)
    job.pause()
    assert job.state == "paused"
    qtbot.waitUntil(lambda: job.worker.state == "paused", timeout=3000)
    qtbot.wait(80)
    stood = step_of(job)
    qtbot.wait(80)
    assert step_of(job) == stood
    job.step()
    qtbot.waitUntil(lambda: step_of(job) == stood + 1, timeout=3000)
    job.resume()
    qtbot.waitUntil(lambda: step_of(job) > stood + 10, timeout=3000)
    job.pause()
    with qtbot.waitSignal(job.cancelled, timeout=3000):
        job.cancel()


def test_a_paused_job_gives_its_lane_to_a_waiting_one(qtbot, jobs, counting, fake_model):
    long = counting(steps_wanted=1_000_000_000)
    first, second = Job(long, fake_model), Job(long, fake_model)
    jobs.submit(first)
    jobs.submit(second)
    qtbot.waitUntil(lambda: first.tick is not None, timeout=3000)
    assert second.state == "waiting"
    first.pause()
    qtbot.waitUntil(lambda: second.state == "running", timeout=3000)
    first.resume()
    before = step_of(first)
    qtbot.waitUntil(lambda: step_of(first) > before, timeout=3000)


def test_a_replay_makes_the_changes_at_their_steps_and_holds(qtbot, jobs, counting, fake_model):
    replay = ((10, {"speed": 0.5}), (20, {"speed": 0.7}))
    job = Job(counting(steps_wanted=1_000_000_000), fake_model, replay=replay, hold_at=30)
    assert getattr(job.now, "speed", None) == 0.7
    held = []
    job.held.connect(held.append)
    jobs.submit(job)
    job.send({"speed": 0.1})  # from the step on at which it holds, or it would be another run
    qtbot.waitUntil(lambda: job.state == "paused", timeout=3000)
    qtbot.waitUntil(lambda: step_of(job) == 30, timeout=3000)
    assert held == [True]
    assert [(at, dict(change)) for at, change in job.worker.changes] == list(replay)
    job.resume()
    qtbot.waitUntil(lambda: step_of(job) > 30, timeout=3000)
    assert job.worker.changes[-1] == (30, {"speed": 0.1})
