"""The peers' virtual environments, and what machine this is."""

import contextlib
import hashlib
import importlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parent
VENVS = HERE / ".venvs"

PEERS = (
    "interventional",  # first: its answers are the others' yardstick
    "before",
    "floor",
    "pymc_by_hand",
    "bambi",
    "pathmc",
    "dowhy_gcm",
    "econml",
    "numpyro",
)


class NotInstalledError(Exception):
    """Raised where a peer's environment cannot be made."""


def peer(name: str) -> ModuleType:
    """Return the module that declares a peer. It imports the peer itself only when it runs."""
    return importlib.import_module(f"benchmarks.peers.{name}")


def python_of(name: str) -> str:
    """Return the Python that runs a peer; make its environment if need be."""
    requirements = peer(name).REQUIREMENTS
    return sys.executable if requirements is None else python_with(name, requirements)


def python_with(name: str, requirements: list[str]) -> str:
    """Return the Python of an environment that has these packages; make it if need be."""
    folder = VENVS / name
    python = folder / "bin" / "python"
    stamp = folder / "requirements"
    wanted = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"Setting up an environment for {name}: {', '.join(requirements)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--python", sys.executable, str(folder))
    _uv("pip", "install", "--quiet", "--python", str(python), *requirements)
    stamp.write_text(wanted)
    return str(python)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NotInstalledError(lines[-1] if lines else f"uv {arguments[0]} failed")


def source_of(name: str) -> dict[str, str]:
    """Return where a peer that is another commit of this package imports it from, as a variable.

    What that commit held is put there if need be.
    """
    commit = getattr(peer(name), "COMMIT", None)
    if commit is None:
        return {}
    folder = VENVS / f"{name}-{commit}"
    if not folder.exists():
        archive = ["git", "archive", commit, "src"]
        done = subprocess.run(archive, capture_output=True, cwd=ROOT, check=False)
        if done.returncode:
            raise NotInstalledError(f"no commit {commit} here")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
            files.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder / "src")}


def variables(own: bool) -> dict[str, str]:
    """Return the environment variables of workers.

    Some machines choose OpenBLAS's kernels by a variable, which slows a current NumPy: it finds
    the right ones itself. Answers are compared all the same.
    """
    kept = dict(os.environ, MPLBACKEND="Agg", PYTHONWARNINGS="ignore")
    kept.pop("OPENBLAS_CORETYPE", None)
    kept.pop("OPENBLAS_L2_SIZE", None)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # some containers set it, and imports take 10 s
    if own:
        kept.pop("PYTHONPATH", None)
    return kept


def machine() -> dict[str, object]:
    """Return what the times depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or "unknown"
