"""The parts of the GPU check that need no GPU: its archive of data, and how parts are run."""

import fcntl
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PART = """
import json, sys, time
out, seconds, name = sys.argv[1], json.loads(sys.argv[2]), sys.argv[4]
log = open(f"{out}/times", "a")
print("begins", name, file=log, flush=True)
time.sleep(seconds[name])
print("ends", name, file=log, flush=True)
line = {"name": name, "value": "1", "limit": "-", "verdict": "ok"}
open(f"{out}/{name}.json", "w").write(json.dumps([line]))
"""


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that imports a module of benchmarks/gpu."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def load(name):
        return __import__(f"gpu.{name}", fromlist=["_"])

    yield load
    for name in [name for name in sys.modules if name.split(".")[0] == "gpu"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def competition(tmp_path):
    folder = tmp_path / "competition"
    for name in ("train/images/a.png", "test/images/b.png", "train.csv", "depths.csv",
                 "sample_submission.csv"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    return folder


def test_data_and_weights_travel_in_one_archive(gpu, competition, tmp_path):
    bundle = gpu("bundle")
    for name in ("one.tar", "two.tar"):
        bundle.write_bundle(competition, tmp_path / "w.safetensors", tmp_path / name)
        (competition / "train.csv").touch()
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    folder = bundle.open_bundle(tmp_path / "one.tar", tmp_path / "scratch")
    assert (folder / "tgs/train/images/a.png").read_bytes() == b"train/images/a.png"
    assert (folder / "lite0.safetensors").read_bytes() == b"weights"
    assert bundle.open_bundle(folder, tmp_path) == folder


def test_an_incomplete_bundle_is_refused(gpu, competition, tmp_path):
    bundle = gpu("bundle")
    (competition / "depths.csv").unlink()
    with pytest.raises(SystemExit, match=r"lacks depths\.csv"):
        bundle.write_bundle(competition, tmp_path / "w.safetensors", tmp_path / "one.tar")
    with pytest.raises(SystemExit, match=r"lacks tgs and lite0\.safetensors"):
        bundle.open_bundle(competition, tmp_path)


def run(gpu, out, parts, seconds):
    """Run (name, timed, how long it takes, its limit); return verdicts, and what happened when."""
    running = gpu("running")
    script = out / "part.py"
    script.write_text(PART)
    plans = [running.Plan(name, "m", "f", limit, timed) for name, timed, _, limit in parts]
    takes = json.dumps({name: takes for name, _, takes, _ in parts})
    told = []
    running.run_parts(
        plans,
        [str(script), str(out), takes],
        out,
        seconds=seconds,
        tell=lambda lines, _: told.extend(lines),
    )
    times = out / "times"
    happened = times.read_text().splitlines() if times.exists() else []
    return {line.name: line.verdict for line in told}, happened


def test_parts_that_are_timed_have_the_machine_to_themselves(gpu, tmp_path):
    parts = [("a", True, 0, 60), ("b", False, 1, 60), ("c", False, 1, 60), ("d", True, 0, 60)]
    verdicts, happened = run(gpu, tmp_path, parts, 60)
    assert verdicts == dict.fromkeys("abcd", "ok")
    assert happened[:2] == ["begins a", "ends a"]
    assert {*happened[2:4]} == {"begins b", "begins c"}
    assert happened[6:] == ["begins d", "ends d"]


def test_a_part_beyond_its_limit_fails_and_stops_no_other(gpu, tmp_path):
    verdicts, _ = run(gpu, tmp_path, [("a", True, 99, 0.5), ("b", True, 0, 60)], 60)
    assert verdicts == {"a": "FAIL", "b": "ok"}


STARTS_ANOTHER = """
import subprocess, sys, time
holds = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)"
holds += "; open(sys.argv[1] + '.held', 'w'); time.sleep(99)"
subprocess.run([sys.executable, "-c", holds, sys.argv[1]])
"""


@pytest.mark.timeout(60)
def test_a_part_beyond_its_limit_ends_with_all_that_it_has_started(gpu, tmp_path):
    running, script, lock = gpu("running"), tmp_path / "part.py", tmp_path / "lock"
    script.write_text(STARTS_ANOTHER)
    part = running.start(running.Plan("a", "m", "f", 60, True), [str(script), str(lock)], tmp_path)
    while not (tmp_path / "lock.held").exists():
        assert part.process.poll() is None
    part.end()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits for the end of who holds it


def test_what_the_deadline_leaves_out_is_told(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu("running"), "LEAST_SECONDS", 0.1)
    verdicts, _ = run(gpu, tmp_path, [("a", True, 99, 60), ("b", True, 0, 60)], 0.6)
    assert verdicts == {"a": "not run", "b": "not run"}
