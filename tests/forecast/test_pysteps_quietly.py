from __future__ import annotations

import subprocess
import sys


def test_importing_the_nowcasters_prints_nothing_and_loads_no_pysteps() -> None:
    code = (
        "import sys, nowcast.forecast.classical, nowcast.forecast.extrapolation\n"
        "assert not {'pysteps', 'cv2', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_first_import_of_pysteps_prints_nothing() -> None:
    code = (
        "from nowcast.forecast import pysteps_quietly as p\n"
        "p.sparse_flow(), p.inverse_distances(), p.nowcast_method('sprog')\n"
        "assert p.version()[0] == '1'\n"
        "with p.quietly(): print('held back')\n"
        "print('said')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "said\n", "")
