"""What the tests of the command line share: a tiny competition, a finished run, `invoke`."""

import io
import json
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

# Before torch is imported: tiny tensors are fastest on one thread, and a run then has the same
# bytes in this process as in another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tests train in float32, whatever the processor: GOLDFOLD_BF16=auto lets them use bf16.
os.environ.setdefault("GOLDFOLD_BF16", "off")

SIZE = 96

# No deadline, because machines are shared. GOLDFOLD_EXAMPLES=1000 searches longer.
EXAMPLES = int(os.environ.get("GOLDFOLD_EXAMPLES", "60"))
hypothesis.settings.register_profile("goldfold", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.load_profile("goldfold")
PRESET = "siim-acr-pneumothorax"
TINY = [
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " stages=[{epochs=2, image_size=64, batch_size=8, learning_rate=1e-3}]}]",
    "folds.count=2",
    "ensemble.bootstrap_samples=100",
    f"competition.images.shape=[{SIZE},{SIZE}]",
    "workers=1",
]


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Return stdout as JSON; constants that JSON does not know (NaN) are refused."""
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def run_command(*words):
    """Run `goldfold WORDS` in this process, as the console script would.

    `init` measures no training unless asked to: with its real networks that takes seconds. An
    exception that is not turned into a message goes through, and fails the test.
    """
    from goldfold.commands.app import app

    arguments = [str(word) for word in words]
    if arguments[:1] == ["init"] and len(arguments) > 1 and "--measure" not in arguments:
        arguments.insert(1, "--no-measure")
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            app(arguments, prog_name="goldfold")
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return Outcome(code, out.getvalue(), err.getvalue())


def set_words(assignments):
    return [word for assignment in assignments for word in ("--set", assignment)]


def make_run(data, folder, *assignments):
    """Write goldfold.toml of the tiny run."""
    words = ["init", PRESET, "--data", data, "-o", folder, *set_words([*TINY, *assignments])]
    done = run_command(*words)
    assert done.code == 0, done.err
    return folder


def pytest_collection_modifyitems(items):
    """Prepare the devices that tests need."""
    register_pretend_gpu(items)
    skip_without_gpus(items)


def register_pretend_gpu(items):
    """Tell PyTorch of the pretend GPU before any test runs, if some test needs it.

    The first backward pass of a process counts the devices; one that comes later has no gradients.
    """
    needed = any(
        "pretend_gpu" in item.fixturenames or "pretend" in item.path.name for item in items
    )
    if needed:
        from pretend_gpu.context import register_if_supported

        register_if_supported()


def skip_without_gpus(items):
    """Skip tests that need more GPUs than there are."""
    marked = [(item, mark) for item in items if (mark := item.get_closest_marker("gpu"))]
    if not marked:
        return
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for item, mark in marked:
        needed = mark.kwargs.get("count", 1)
        if there < needed:
            reason = f"needs {needed} GPU(s) that PyTorch can use, there are {there}"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def invoke():
    """Return a function that runs a command line and returns its Outcome."""
    return run_command


@pytest.fixture(scope="session")
def init_run():
    """Return a function (data, folder, *assignments) that makes a tiny run."""
    return make_run


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return a function that gives a folder, made once for all processes that run the tests.

    `shared_folder(name, make)` calls make(folder) where no process has; nobody changes what it
    made.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the session, in which each process has one of its own

    def get(name, make):
        folder = base / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        made = folder.with_name(f"{name}.made")
        with FileLock(folder.with_name(f"{name}.lock")):
            if not made.exists():
                make(folder)
                made.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def synthetic(shared_folder):
    """Return a folder with `data`, a synthetic competition with quirks; nobody changes it."""
    from goldfold.competitions.synthetic import synthesize

    def make(folder):
        synthesize(folder / "data", train=24, test=8, size=SIZE, seed=0, quirks=True, workers=1)

    return shared_folder("synthetic", make)


@pytest.fixture(scope="session")
def finished(synthetic, shared_folder):
    """Return the run directory of a whole unbroken `goldfold run`; nobody changes it."""

    def make(folder):
        run = make_run(synthetic / "data", synthetic / "runs" / "first")
        done = run_command("run", run)
        assert done.code == 0, done.err

    shared_folder("finished", make)
    return synthetic / "runs" / "first"


@pytest.fixture
def data(synthetic, tmp_path):
    """Return a copy of the competition's files that a test may spoil."""
    shutil.copytree(synthetic / "data", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def fresh(data, tmp_path):
    """Return a run directory with nothing but goldfold.toml, on the copy of the data."""
    return make_run(data, tmp_path / "runs" / "first")


@pytest.fixture
def copied(finished, data, tmp_path):
    """Return a copy of the finished run, on a copy of the data, that a test may spoil."""
    shutil.copytree(finished, tmp_path / "runs" / "first")
    return tmp_path / "runs" / "first"


@pytest.fixture(scope="session")
def change_in_place():
    """Return a function that changes the pixels of a DICOM, but not its size nor its time."""
    from goldfold.competitions.image import read_image

    def change(path):
        before, pixels = path.stat(), read_image(path)
        content = bytearray(path.read_bytes())
        start = content.index(b"\xff\xdb") + 5  # behind marker, length and number of the table
        doubled = bytes(min(2 * level, 255) for level in content[start : start + 64])
        content[start : start + 64] = doubled  # twice the contrast
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        assert (read_image(path) != pixels).any()

    return change


@pytest.fixture(scope="session")
def contents():
    """Return a function that gives the bytes of every file below a folder."""

    def read(folder, pattern="**/*"):
        files = (path for path in Path(folder).glob(pattern) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return read


@pytest.fixture
def pretend_gpu():
    """Return a GPU that is not there: see tests/helpers/pretend_gpu. goldfold chooses it."""
    helper = pytest.importorskip("pretend_gpu")
    if not helper.is_supported():
        pytest.skip("this PyTorch lets no device be written in Python")
    with helper.pretend_gpu() as gpu:
        yield gpu
