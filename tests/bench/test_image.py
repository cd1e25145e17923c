"""How large the container image is beyond its base. Needs a container engine and a base image that is here already.

Writes build/bench/light.json.
"""

from __future__ import annotations

import pytest

from tests.bench.notes import write
from tests.harness import container


@pytest.mark.container
@pytest.mark.timeout(900)
def test_image_size() -> None:
    try:
        with container.engine() as engine:
            base = container.base_image(engine)
            with container.our_image(base) as image:
                whole = container.size_bytes(engine, str(image))
            added = whole - container.size_bytes(engine, base)
    except container.AbsentError as missing:
        pytest.skip(str(missing))
    write("light", "image", {"bytes": whole, "added_bytes": added})
    assert 0 < added < whole
