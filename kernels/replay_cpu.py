"""Work whose dynamic programming is made elsewhere: an item asks for it, task by task, and is gone through again with what is known.

What an item (a read, a pair) asks for next depends on what came of its tasks before. So kernels go through an item from its beginning
with the results that are known, in the order in which it needs them, up to the first that is not: that one becomes a task of the next
batch (`extension_scalar`). All this costs is going through the rest again, a few times.
A memo is (known int32[n, RESULT_COLUMNS], state int64[STATE], task int64[TASK_COLUMNS]).
"""

import numpy as np

from gpugenome.kernels.extension_scalar import RESULT_COLUMNS, T_QUERY, T_SIZE, TASK_COLUMNS
from gpugenome.kernels.launch import jit

UNKNOWN, KNOWN, ASKED = range(3)
_AT, _END, _ASKING, STATE = range(4)


@jit
def new_memo(known):
    """A memo over a table of results."""
    return known, np.zeros(STATE, np.int64), np.zeros(TASK_COLUMNS, np.int64)


@jit
def start_replay(memo, begin, end, asking):
    """Go through an item, whose results are known[begin:end]."""
    state = memo[1]
    state[_AT], state[_END], state[_ASKING] = begin, end, asking


@jit
def recall(memo, result):
    """The next result of an item: KNOWN (now in `result`), ASKED (the caller fills the task and gives up), UNKNOWN (to be made here)."""
    known, state, _ = memo
    if state[_AT] < state[_END]:
        for c in range(RESULT_COLUMNS):
            result[c] = known[state[_AT], c]
        state[_AT] += 1
        return KNOWN
    return ASKED if state[_ASKING] else UNKNOWN


@jit
def new_requests(n):
    """(items int64[n], tasks int64[n, TASK_COLUMNS], codes uint8[.]): tables of tasks that as many items may ask for, and their queries."""
    return np.empty(n, np.int64), np.empty((n, TASK_COLUMNS), np.int64), np.empty(64 * n + 16, np.uint8)


@jit
def request(memo, item, query, items, tasks, count, codes, used):
    """Note a memo's task, that of an item, and its query's codes. Returns (tasks, codes, the codes' array, replaced where it is full)."""
    task = memo[2]
    n = task[T_SIZE]
    if used + n > codes.size:
        more = np.empty(2 * (used + n), np.uint8)
        more[:used] = codes[:used]
        codes = more
    codes[used : used + n] = query[:n]
    task[T_QUERY] = used
    items[count] = item
    tasks[count] = task
    return count + 1, used + n, codes
