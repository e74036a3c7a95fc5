"""The numerical work of gpugenome: a kernel for the CPU and its twin for the GPU side by side."""

from gpugenome.kernels import launch  # noqa: F401 before any other module imports numba: it keeps the collector of garbage out of that
