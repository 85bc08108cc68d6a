"""What the processes of `tests.e2e.process` fork from has done for all of them."""

import gc

import tests.e2e.process  # noqa: F401  # what they run is in it
from api.schema import build_schema

build_schema()  # which keeps the types
gc.freeze()  # or each of them would go through all of this again, and copy it
