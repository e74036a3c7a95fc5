"""What the covariates of a base are made of: its code, its cycle. Both twins use it. Source: GATK ContextCovariate, CycleCovariate."""

from gpugenome.kernels.launch import jit


@jit
def base_code(base):
    """0-3 of A, C, G, T in either case ('*' counts as A, as in GATK), else -1."""
    b = base & 0xDF
    if b == 65 or base == 42:
        return 0
    if b == 67:
        return 1
    if b == 71:
        return 2
    if b == 84:
        return 3
    return -1


@jit
def cycle_of(i, n, flag):
    """The sequencing cycle of base i of n: from 1, negative for the second read of a pair."""
    cycle = n - i if flag & 16 else i + 1
    return -cycle if flag & 0x81 == 0x81 else cycle
