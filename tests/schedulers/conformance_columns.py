"""The schedulers that take part in the conformance suite. A new one is one entry here."""

from __future__ import annotations

from tests.schedulers.conformance_lsf import LSF
from tests.schedulers.conformance_pbs import PBS
from tests.schedulers.conformance_sge import SGE
from tests.schedulers.conformance_slurm import SLURM
from tests.schedulers.conformance_tcs import TCS

COLUMNS = {"slurm": SLURM, "sge": SGE, "pbs": PBS, "lsf": LSF, "tcs": TCS}
