"""Types of arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
Floats = NDArray[np.float64]
#: Places, and other whole numbers.
Index = NDArray[np.int64]
#: Arrays by name.
Arrays = dict[str, AnyArray]
