"""How many cores a container may use."""

import pytest

from goldfold import workers
from goldfold.cpu_quota import quota_in_cores


@pytest.fixture
def system(tmp_path):
    """Return a function (groups of the process, {file: text}) -> quota in cores."""

    def quota(membership, files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            file = tmp_path / "mounted" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return quota_in_cores(tmp_path / "membership", tmp_path / "mounted")

    return quota


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", None), ("200000 100000\n", 2), ("150000 100000\n", 2), ("5000 100000\n", 1)],
)
def test_the_second_version_has_one_file(system, text, cores):
    assert system("0::/\n", {"cpu.max": text}) == cores


def test_the_least_of_all_groups_above_counts(system):
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "c/cpu.max": "1 100000"}
    assert system("0::/a/b\n", files) == 3


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "cores"), [("-1", None), ("400000", 4)])
def test_the_first_version_has_two_files(system, folder, quota, cores):
    files = {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000"}
    # The path is that of the host, and not to be seen from inside.
    assert system("3:memory:/m\n4:cpu,cpuacct:/docker/1\n0::/\n", files) == cores


def test_a_system_without_groups_has_no_quota(tmp_path, system):
    assert quota_in_cores(tmp_path / "nothing", tmp_path) is None
    assert system("0::/\n", {}) is None
    assert system("0::/\n", {"cpu.max": "nonsense"}) is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (2, 2), (16, 8)])
def test_a_quota_limits_the_cores(monkeypatch, quota, cores):
    monkeypatch.setattr(workers, "processors", lambda: 8)
    monkeypatch.setattr(workers, "quota_in_cores", lambda: quota)
    assert workers.cores() == cores
    assert workers.default_workers() == cores
