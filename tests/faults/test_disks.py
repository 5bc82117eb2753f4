"""Full and read-only disks, and folders that hold something else: a sentence, and the same command works afterwards."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import TINY, commands_here
from tests.faults.conftest import Start, Tally, finished
from tests.faults.test_kills import runs

PLACES = {
    "cache": "paths.cache={disk}/cache",
    "output": "hydra.run.dir={disk}/output",
    "store": "tracking.uri=sqlite:///{disk}/store/mlflow.db",
}
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts small disks in memory."""
    mounted: list[Path] = []

    def make(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("kilobytes", "place"),
    [(0, "cache"), (0, "output"), (0, "store"), (64, "output"), (600, "cache"), (600, "store")],
)
def test_a_full_disk_is_told_and_the_command_works_when_there_is_room(
    start: Start, tally: Tally, mount: Mount, patches: Path, cache: Path, tmp_path: Path, kilobytes: int, place: str
) -> None:
    disk = mount("disk", "size=4m")
    words = [*TINY, "epochs=1", "dataset=folder", f"dataset.path={patches}", PLACES[place].format(disk=disk)]
    room = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - 1024 * kilobytes))
    status, printed = finished(start(tmp_path / "work", "train", *words))
    told = status == 0 or (status == 2 and "disk" in printed.lower() and "Traceback" not in printed)
    store = disk / "store" if place == "store" else tmp_path / "work" / "mlruns"
    states = [run.info.status for run in runs(store.parent)] if place != "store" else []
    remount(disk, "size=400m")
    with commands_here(tmp_path / "work", cache) as run:
        again = run("train", *words)
    held = told and again.returncode == 0 and "RUNNING" not in states
    tally(f"A full disk for the {place}", held)
    assert held, (status, printed[-3000:], again.stdout[-3000:], again.stderr[-3000:], states)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_read_only_disk_is_told(
    start: Start, tally: Tally, mount: Mount, patches: Path, tmp_path: Path, place: str
) -> None:
    disk = mount("disk", "size=4m,ro")
    words = [*TINY, "epochs=1", "dataset=folder", f"dataset.path={patches}", PLACES[place].format(disk=disk)]
    status, printed = finished(start(tmp_path / "work", "train", *words))
    held = status == 2 and str(disk) in printed and "Traceback" not in printed
    tally(f"A read-only disk for the {place}", held)
    assert held, (status, printed[-3000:])


@pytest.mark.slow
@pytest.mark.parametrize("place", ["cache", "store"])
def test_a_file_in_place_of_a_folder_is_told(
    start: Start, tally: Tally, patches: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / ("store" if place == "store" else "cache")).write_text("something else")
    disk = tmp_path / "taken"
    words = [*TINY, "epochs=1", "dataset=folder", f"dataset.path={patches}", PLACES[place].format(disk=disk)]
    status, printed = finished(start(tmp_path / "work", "train", *words))
    held = status == 2 and str(disk) in printed and "Traceback" not in printed
    tally(f"A file in place of the folder of the {place}", held)
    assert held, (status, printed[-3000:])
    assert next((tmp_path / "taken").iterdir()).read_text() == "something else"
