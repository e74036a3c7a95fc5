"""gpugenome: germline short-variant calling with the results of GATK 4.6.2.0, on CPU or GPU."""

from pathlib import Path

from gpugenome._version import __version__

# In an uninstalled source tree `kernels/` lies beside this package; installed, it is inside it.
_root = Path(__file__).resolve().parent.parent
if (_root / "kernels" / "__init__.py").is_file() and not (_root / "gpugenome" / "kernels").exists():
    __path__.append(str(_root))

__all__ = ["__version__"]
