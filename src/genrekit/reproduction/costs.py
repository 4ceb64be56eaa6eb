"""What a row costs on the full data: the command that measures it, and its time on CPU and GPU."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from genrekit.errors import RecipeError
from genrekit.models import readme
from genrekit.reproduction import runner
from genrekit.reproduction.rows import Row
from genrekit.strict import StrictModel

FILE = "costs/work.json"  # below the folder of results
N_CORES = 2
# What one GPU is assumed to sustain in such trainings; no GPU was measured.
GPU_TFLOPS = 20.0
SECONDS_AN_HOUR = 3600


class Work(StrictModel):
    """What training all networks of a recipe on the full data takes.

    ``n_networks`` counts those of all protocols; ``pflop`` is of all of them together. ``measured``
    is the network whose speed on a core stands for this one's.
    """

    measured: str
    n_networks: int
    n_epochs: int
    n_segments: int
    pflop: float


class Counted(StrictModel):
    """The work of every recipe of a network, and what one core here does a second, by network."""

    gflops_a_core: dict[str, float]
    machine: str
    work: dict[str, Work]


def load(folder: Path) -> Counted | None:
    """Read what was counted; None where nothing was.

    Raises:
        RecipeError: the file is no such count.
        OSError: it cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Counted.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecipeError(
            f"{path} is no count of this version; make it again: benchmarks/reproduction_work.py"
        ) from error


def section(rows: list[Row], counted: Counted | None) -> list[str]:
    """Return the lines that say how to run each row and what that costs."""
    table = [
        [f"`{_command(row)}`", row.needs, _measured(row), *_estimated(row.name, counted)]
        for row in rows
    ]
    headers = ("command", "needs", "measured", "CPU, full data", "GPU, full data")
    lines = [
        "## Run it on the full data",
        "",
        "One command a row; `genrekit reproduce all --data DATA --weights WEIGHTS` measures all "
        "that can run, and goes on where it stopped after a kill. DATA holds what the row needs: "
        "GTZAN's folder with `audio`, `images` and the tables, or `fma_small`. *Measured* is what "
        "the row took here, on the part of GTZAN that was at hand, on a machine that others used "
        "too and on which some trainings were paused meanwhile: it may be several times what the "
        "row needs.",
    ]
    if counted:
        speeds = ", ".join(f"{name} {value:.0f}" for name, value in counted.gflops_a_core.items())
        lines += [
            "",
            f"CPU and GPU are **estimates** for all networks of a row, from the counted "
            f"operations of one segment. A core does, in GFLOP/s as measured here: {speeds} (other "
            f"networks are taken to be as fast as resnet18); {N_CORES} cores are assumed, and "
            f"{GPU_TFLOPS:g} TFLOP/s of a GPU, on which nothing was measured. Decoding and tabular "
            "rows are not counted.",
        ]
    return [*lines, "", readme.table(headers, table), ""]


def _command(row: Row) -> str:
    has_file = runner.is_weight_file(row.recipe.model.weights)
    return f"genrekit reproduce {row.name} --data DATA" + (" --weights WEIGHTS" if has_file else "")


def _measured(row: Row) -> str:
    return duration(row.result.seconds) if row.result else "-"


def _estimated(name: str, counted: Counted | None) -> tuple[str, str]:
    if counted is None or name not in counted.work:
        return "-", "-"
    work = counted.work[name]
    gflop = work.pflop * 1e6
    on_cpu = gflop / (counted.gflops_a_core[work.measured] * N_CORES)
    return duration(on_cpu), duration(gflop / (GPU_TFLOPS * 1e3))


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours.

    >>> duration(4), duration(42), duration(600), duration(9000)
    ('under 10 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 10:
        return "under 10 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * SECONDS_AN_HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / SECONDS_AN_HOUR:.1f} h"
