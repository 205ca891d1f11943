"""A cloud that is played: the real driver, store and ledger, and virtual time.

    cloud = SimulatedCloud(seed=1, faults=FaultShares.of_every_kind(0.02))
    summary = run_job(spec, backend=cloud)
    cloud.account.paid_s      # what such a cloud would charge for

Calls start cold or warm, take their time, are lost, killed, throttled or run twice as a seed says.
Each one writes its pages and its ledger into the job's real store as a worker would; only
recognition and the passing of time are played. A page takes about 15 µs of one core.
"""

from comic_ocr.testing.simulation.clock import VirtualClock
from comic_ocr.testing.simulation.cloud import Account, SimulatedCloud
from comic_ocr.testing.simulation.faults import CloudModel, Fate, FaultShares
from comic_ocr.testing.simulation.job import ResultCount, count_results, write_manifest

__all__ = [
    "Account",
    "CloudModel",
    "Fate",
    "FaultShares",
    "ResultCount",
    "SimulatedCloud",
    "VirtualClock",
    "count_results",
    "write_manifest",
]
