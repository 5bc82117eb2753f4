"""What takes a picture: a folder in which commands run, and the browser that shows their pages."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.browser.page import Page

ROOT = Path(__file__).parents[2]
COLORS = (256, 128, 64, 32)
"""The numbers of colours that a picture is reduced to, until its file is smaller than `LIMIT`."""
LIMIT = 300_000
"""The size of a file in bytes that no picture reaches."""
TRAIN = ["+experiment=mobilenet", "evaluation.gallery=6"]
SWEEP = ["+experiment=mobilenet", "augmentation=none", "optimizer.learning_rate=0.003", "tracking.log_model=false"]
FEW = ["backbone.alpha=0.35", "backbone.weights=null", "batch_size=8", "dataset.count=60", "dataset.size=48"]
"""Overrides that make a training a matter of seconds, where only the words of a page count."""


class Studio:
    """A folder in which commands run as a user types them, and the browser that shows what they leave behind.

    Args:
        folder: The folder, which is the working folder of all commands.
        page: The page of the browser.
        small: Whether models are trained on a few small images, for the words of the pages alone.
        environment: Variables of the environment of all commands.
    """

    def __init__(self, folder: Path, page: Page, small: bool = False, **environment: str) -> None:
        self.folder, self.page, self.small = folder, page, small
        ours = {"PYTHONPATH": str(ROOT), "CRACKEXP_CACHE": str(ROOT / ".cache")}
        self._environment = {**os.environ, **ours, **environment}
        self._servers = contextlib.ExitStack()

    def crackexp(self, *words: str) -> str:
        """Runs a command and returns what it prints. Exit status 3, for files that cannot be read, is no failure."""
        done = subprocess.run(
            [sys.executable, "-m", "crackexp", *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 3):
            raise RuntimeError(f"crackexp {' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def serve(self, *words: str) -> str:
        """Starts a command that serves pages until the studio is closed, and returns the address that it prints."""
        log = self.folder / f"{words[0]}.txt"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "crackexp", *words],
                cwd=self.folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._servers.callback(_end, server)
        for _ in range(240):
            if found := re.search(r"http://127\.0\.0\.1:(\d+)\S*", log.read_text()):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(found[1])), 1):
                    return found[0]
            time.sleep(0.5)
        raise TimeoutError(f"crackexp {' '.join(words)} serves no page:\n{log.read_text()}")

    def close(self) -> None:
        """Ends the servers."""
        self._servers.close()

    @cached_property
    def trained(self) -> str:
        """What the training printed, whose model the pictures show."""
        return self.crackexp("train", *TRAIN, *(["image_size=32", *FEW] if self.small else []))

    @cached_property
    def swept(self) -> str:
        """What a sweep of six trials printed."""
        size = ["image_size=32,48", *FEW] if self.small else ["image_size=96,160", "dataset.limit=2000"]
        return self.crackexp("sweep", *SWEEP, "dropout=0.1,0.3,0.5", *size)

    @cached_property
    def swept_ratios(self) -> str:
        """What the sweep of the README printed, which takes the trials of the other sweep as they are."""
        few = ["image_size=32,48", "dropout=0.1,0.5", "split.ratio=[0.5,0.2,0.3],[0.7,0.2,0.1]", *FEW]
        self.swept  # noqa: B018, it runs the sweep
        return self.crackexp(
            "sweep", *SWEEP, "+sweep=ratio_size_dropout", *(few if self.small else ["dataset.limit=2000"])
        )

    def artifact(self, name: str) -> Path:
        """Returns the newest artifact of this name."""
        return max(self.folder.glob(f"mlruns/**/{name}"), key=lambda file: file.stat().st_mtime)

    @cached_property
    def ui(self) -> str:
        """The address of the MLflow UI, without a slash at its end."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return self.serve("ui", f"port={port}").partition("/#")[0].rstrip("/")

    def printed(self, output: str, pattern: str) -> str:
        """Returns the last address of the MLflow UI in what a command printed that has a pattern in it."""
        found = re.findall(rf"http://127\.0\.0\.1:5000(/#\S*{pattern}\S*)", output)
        if not found:
            raise RuntimeError(f"No address with {pattern} was printed:\n{output[-2000:]}")
        return self.ui + found[-1]


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ends a server and the processes that it started."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@dataclass(frozen=True)
class Shot:
    """How a picture is made.

    Attributes:
        show: Opens the page in the browser of a studio.
        size: The width and height of the picture in pixels.
        words: A CSS selector of the headings and labels of the page, whose words do not depend on a result.
    """

    show: Callable[[Studio], None]
    size: tuple[int, int]
    words: str

    def take(self, studio: Studio) -> list[str]:
        """Opens the page, and returns its words, with # for each number and id, and for the name of a layer."""
        width, height = self.size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        studio.page.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        studio.page.chrome.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        self.show(studio)
        texts, before = self._read(studio), None
        while texts != before:  # until nothing moves any more
            time.sleep(2)
            texts, before = self._read(studio), texts
        varying = r"\b[0-9a-f]{32}\b|(?<=\()[0-9a-f]{8,31}(?=\))|(?<=\blayer )\w+|\d+(?:[.,]\d+)*"
        numberless = [re.sub(varying, "#", text) for text in texts]
        return list(dict.fromkeys(text for text in numberless if re.search("[a-z]", text, re.IGNORECASE)))

    def _read(self, studio: Studio) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(part => part.alt || part.textContent)"
        return [" ".join(text.split()) for text in studio.page.chrome.execute_script(script, self.words)]

    def save(self, studio: Studio, file: Path) -> None:
        """Saves what the browser shows as a PNG file."""
        with Image.open(BytesIO(studio.page.chrome.get_screenshot_as_png())) as image:
            save(image.convert("RGB"), file)


def save(image: Image.Image, file: Path) -> None:
    """Saves an image as a PNG file with as many colours as its size allows."""
    for colors in COLORS:
        image.quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size < LIMIT:
            return
    raise ValueError(f"{file} is larger than {LIMIT:,} bytes with {COLORS[-1]} colours")


SHOTS: dict[str, Shot] = {}
"""The pictures by their names."""


def shot(width: int, height: int, words: str) -> Callable[[Callable[[Studio], None]], Callable[[Studio], None]]:
    """Decorates a function that opens the page of a picture; `sweep_table` opens that of ``sweep-table.png``.

    Args:
        width: The width of the picture in pixels.
        height: The height of the picture in pixels.
        words: See `Shot`.
    """

    def entered(show: Callable[[Studio], None]) -> Callable[[Studio], None]:
        SHOTS[show.__name__.replace("_", "-")] = Shot(show, (width, height), words)
        return show

    return entered
