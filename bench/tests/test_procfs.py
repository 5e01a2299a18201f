import os
import subprocess
import sys
import threading
from pathlib import Path

from bench.harness import procfs
from bench.harness.procfs import ThreadSample


def test_threads_born_in_between_count_from_zero_and_lost_ones_are_told() -> None:
    before = {1: ThreadSample(100, 5, 1), 2: ThreadSample(50, 1, 0)}
    after = {1: ThreadSample(160, 7, 1), 3: ThreadSample(40, 2, 2)}
    used = procfs.used_between(before, after)
    assert (used.cpu_ns, used.voluntary, used.involuntary, used.threads_ended) == (100, 4, 2, 1)


def test_the_cpu_time_of_this_thread_grows_as_it_works() -> None:
    before = procfs.sample([os.getpid()])
    sum(range(3_000_000))
    os.sched_yield()
    used = procfs.used_between(before, procfs.sample([os.getpid()]))
    assert used.cpu_ns > 1_000_000


def test_every_thread_is_seen() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert thread.native_id in procfs.sample([os.getpid()])
    finally:
        stop.set()
        thread.join()


def test_children_of_children_belong_to_the_tree() -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen(['cat'], stdin=0); print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert procfs.process_tree(child.pid) == [child.pid, grandchild]
        assert procfs.process_tree(os.getpid())[0] == os.getpid()
        assert grandchild in procfs.process_tree(os.getpid())


def test_a_process_that_is_gone_has_no_threads_and_no_memory() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert procfs.sample([child.pid]) == {}
    assert procfs.resident_bytes([child.pid]) == 0
    assert procfs.resident_bytes([os.getpid()]) > 1_000_000


def test_names_with_parentheses_do_not_confuse_the_tree(tmp_path: Path) -> None:
    for pid, name, parent in ((10, "a", 1), (11, "b) S 99 (", 10)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 0 0")
    assert procfs.process_tree(10, tmp_path) == [10, 11]


def test_the_machine_has_been_busy_for_some_time() -> None:
    assert procfs.machine_busy_seconds() > 0
