"""Places on the flow cell (tile, x, y) from read names by a regular expression. Source: Picard ReadNameParser."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpugenome.batch import ReadBatch
from gpugenome.columns import ragged_bytes
from gpugenome.errors import UserError

_GROUP_OR_NOT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?!P?<\w))?|[^\\\[(]+", re.S)


def _named_groups(pattern: str) -> str:
    """The pattern with its capturing groups named g1, g2, ... as Arrow wants them."""
    count = 0

    def name(found):
        nonlocal count
        if found[0] != "(":
            return found[0]
        count += 1
        return f"(?P<g{count}>"

    # A group that has a name already loses it.
    out = _GROUP_OR_NOT.sub(name, re.sub(r"\(\?P?<(?![=!])\w+>", "(", pattern))
    if count < 3:
        raise UserError(f"--read-name-regex: has {count} groups, expected three or more: tile, x and y")
    return f"^(?:{out})$"


class NamePattern:
    """A READ_NAME_REGEX: it must match whole names, and its first three groups are tile, x and y.

    Raises
    ------
    UserError: an expression that RE2 does not take (no look-around, no back references), or with less than three groups.
    """

    def __init__(self, regex: str):
        self._pattern = _named_groups(regex)
        try:
            pc.extract_regex(pa.array(["x"]), self._pattern)
        except pa.ArrowInvalid as e:
            raise UserError(f"--read-name-regex: {e}") from None

    def places(self, batch: ReadBatch, threads: int) -> tuple[np.ndarray, np.ndarray]:
        """(bool[n], int16[3, n]): whether each name has a place, and tile, x, y as Picard keeps them, 32-bit numbers cut to 16 bits."""
        values, offset = ragged_bytes(batch, "name", threads)
        names = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(batch), [None, pa.py_buffer(offset), pa.py_buffer(values)])
        groups = pc.extract_regex(names.cast(pa.large_string()), self._pattern)
        found, columns = np.ones(len(batch), bool), []
        for i in (1, 2, 3):
            text = pc.struct_field(groups, f"g{i}")
            good = pc.match_substring_regex(text, "^[+-]?[0-9]{1,18}$").fill_null(False)
            number = pc.if_else(good, pc.replace_substring_regex(text, r"^\+", ""), "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
            found &= good.to_numpy(zero_copy_only=False) & (number == number.astype(np.int32))
            columns.append(number.astype(np.int16))
        return found, np.stack(columns)
