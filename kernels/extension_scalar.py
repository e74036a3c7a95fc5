"""Extensions and rescues as tasks of a batch: what their CPU and CUDA twins share.

Tasks are rows of int64[n, TASK_COLUMNS]: where the query begins in an array of codes (0..3, 4 for N), its size; the position of the
first base of the text in the packed doubled text, the step (1 or -1) to the next one, the number of bases; the score to start from, the
band (no more than `extension_cpu.band_limit` gives), the bonus for the query's end. Of local alignments: the first five, step 1, and
T_TURNED, whether the query is a reverse complement.
"""

import numpy as np

T_QUERY, T_SIZE, T_TEXT, T_STEP, T_ROWS, T_START, T_BAND, T_BONUS, TASK_COLUMNS = range(9)
T_TURNED = T_START
RESULT_COLUMNS = 6
"""int32 results of a task: those of `extension_cpu.extend` or `local_align`."""

SIZES = (64, 160)
"""Longest queries of the GPU's extensions whose rows lie in shared memory; batches end there."""
LOCAL_SIZES = {True: (160, 256), False: (320,)}
"""Longest queries of the GPU's local alignments, by `narrow`: for each there is a kernel. Longer ones are for the CPU."""
MOST_SCORE, MOST_SIZE, MOST_ROWS, MOST_LOCAL_ROWS, MOST_PENALTY = (1 << 14) - 1, 4096, (1 << 15) - 1, 1 << 13, 250
"""What the GPU's kernels take: scores (of an extension: start and all matches), queries and texts of extensions, texts of local
alignments, penalties of the options. Larger ones are for the CPU."""


def text_base(words, p):
    """Base p of a packed text (`index_cpu`), 0..3."""
    return np.int64((words[p >> 5] >> np.uint64(62 - ((p & 31) << 1))) & np.uint64(3))
