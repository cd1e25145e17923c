"""Owns when the interpreter looks through all objects for cyclic garbage: seldom, and not at its own pace.

That pace is a look at every quarter that is new. With 100 targets all lanes stood still for 0.8 s every 20 s (measured)
for nothing: what a run leaves behind has no cycles. The looks at young objects alone take milliseconds and stay, but
after every ten thousand of them: at every seven hundred they were a sixth of the work.
"""

from __future__ import annotations

import atexit
import gc
from typing import Final

EVERY_SECONDS: Final = 3600.0
_YOUNG: Final = 10_000
_NEVER: Final = 2**30


def put_off() -> None:
    """For a process that mostly loads, answers and ends: a quarter of that time went to looks that found nothing."""
    gc.disable()
    atexit.register(gc.freeze)  # or the interpreter looks through everything once more before it goes


def collect() -> None:
    """Look now. From here on nobody else does: call it again after `EVERY_SECONDS`."""
    gc.enable()
    gc.set_threshold(_YOUNG, gc.get_threshold()[1], _NEVER)
    gc.collect()
