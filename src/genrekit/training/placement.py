"""The processes of a run: how many on this machine, on how many machines, and which one leads.

On one machine only the number of devices is needed. On several, every machine runs the same command
once, and the variables that torchrun sets identify the machines:

    MASTER_ADDR, MASTER_PORT     where the first machine is reached
    NODE_RANK or GROUP_RANK      this machine's number, from 0
    WORLD_SIZE                   torchrun's count of its own processes, which is that of machines

Source: torchrun's environment variables, https://docs.pytorch.org/docs/stable/elastic/run.html.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from genrekit.errors import RecipeError

NEEDED = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Placement:
    """The processes of one training, ``n_devices`` on each of ``n_nodes`` machines.

    The machines meet at ``address`` and ``port``, which torchrun may have opened already;
    ``attempt`` counts its restarts. One machine needs none of the three.
    """

    n_devices: int = 1
    n_nodes: int = 1
    node_rank: int = 0
    address: str = ""
    port: int = 0
    is_hosted: bool = False
    attempt: str = "0"

    @property
    def n_ranks(self) -> int:
        """The total number of processes."""
        return self.n_devices * self.n_nodes

    @property
    def ranks(self) -> range:
        """The numbers of this machine's processes."""
        first = self.node_rank * self.n_devices
        return range(first, first + self.n_devices)

    def __str__(self) -> str:
        if self.n_ranks == 1:
            return "1 process"
        return f"{self.n_ranks} processes" + (
            f" on {self.n_nodes} machines" if self.n_nodes > 1 else ""
        )


ALONE = Placement()


def find(
    n_devices: int, n_nodes: int | None = None, environment: Mapping[str, str] = os.environ
) -> Placement:
    """Return this machine's place among the others.

    Args:
        n_devices: processes on each machine.
        n_nodes: machines; None is torchrun's number, or one.
        environment: the variables of the module's docstring.

    Raises:
        RecipeError: with several machines a variable is missing, not a number or contradictory.

    >>> find(2).ranks
    range(0, 2)
    """
    n_machines = _number(environment, "WORLD_SIZE") if "GROUP_RANK" in environment else None
    if _number(environment, "LOCAL_WORLD_SIZE", 1) != 1:
        raise RecipeError(
            f"torchrun started {environment['LOCAL_WORLD_SIZE']} processes on this machine; write "
            "--nproc-per-node 1, and give genrekit --devices, which starts them itself"
        )
    n_nodes = n_nodes or n_machines or 1
    if n_machines is not None and n_machines != n_nodes:
        raise RecipeError(f"--nodes is {n_nodes}, but torchrun runs on {n_machines} machines")
    if n_nodes == 1:
        return Placement(n_devices)
    missing = [name for name in NEEDED if name not in environment]
    rank_name = "GROUP_RANK" if "GROUP_RANK" in environment else "NODE_RANK"
    if rank_name not in environment:
        missing.append(rank_name)
    if missing:
        raise RecipeError(
            f"--nodes {n_nodes} needs {', '.join(missing)} in the environment; start every machine "
            "with torchrun --nproc-per-node 1, or set them"
        )
    node_rank = _number(environment, rank_name)
    if not 0 <= node_rank < n_nodes:
        raise RecipeError(f"{rank_name} is {node_rank}; expected 0 or more with --nodes {n_nodes}")
    return Placement(
        n_devices,
        n_nodes,
        node_rank,
        environment["MASTER_ADDR"],
        _number(environment, "MASTER_PORT"),
        environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def _number(environment: Mapping[str, str], name: str, default: int = 0) -> int:
    text = environment.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise RecipeError(f"{name} is {text!r}; expected a number") from None
