"""Makes the virtual environments of the peers, one for each file of pinned requirements in ``peers/``.

python experiments/speed/peers.py              all of them
python experiments/speed/peers.py tensorflow   this one

They stand in ``.cache/peers`` (``CRACKEXP_CACHE`` moves it); one whose file has not changed is left as it is.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from common import CACHE, HERE

PEERS = {file.stem: file for file in sorted((HERE / "peers").glob("*.txt"))}


def make(requirements: Path) -> None:
    """Makes the environment of one peer.

    Raises:
        subprocess.CalledProcessError: pip could not install; the next call starts anew.
    """
    folder = CACHE / requirements.stem
    installed = folder / requirements.name
    if installed.exists() and installed.read_text() == requirements.read_text():
        return
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    subprocess.run(pip, check=True)
    shutil.copyfile(requirements, installed)


def main() -> None:
    names = sys.argv[1:] or list(PEERS)
    if unknown := [name for name in names if name not in PEERS]:
        sys.exit(f"There is no such peer; choose from {', '.join(PEERS)}. Received: {' '.join(unknown)}")
    for name in names:
        make(PEERS[name])
        print(f"{name}: {CACHE / name}")


if __name__ == "__main__":
    main()
