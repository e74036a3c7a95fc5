"""GATK's recommended hard filters: SNPs and indels filtered by expressions of their own and written together.

The records are those of SelectVariants (SNPs; indels and mixed records), VariantFiltration on each, and MergeVcfs.
Source: GATK documentation, "Hard-filtering germline short variants".
"""

import numpy as np

from gpugenome.io.variant_records import VariantHeader, VariantRecords
from gpugenome.steps.variants.filtration import Filtration, FiltrationOptions
from gpugenome.steps.variants.selection import Selection, SelectionOptions
from gpugenome.steps.variants.sites import TYPES, Sites

SNP_FILTERS = (
    ("QD2", "QD < 2.0"), ("QUAL30", "QUAL < 30.0"), ("SOR3", "SOR > 3.0"), ("FS60", "FS > 60.0"), ("MQ40", "MQ < 40.0"),
    ("MQRankSum-12.5", "MQRankSum < -12.5"), ("ReadPosRankSum-8", "ReadPosRankSum < -8.0"),
)  # fmt: skip
INDEL_FILTERS = (("QD2", "QD < 2.0"), ("QUAL30", "QUAL < 30.0"), ("FS200", "FS > 200.0"), ("ReadPosRankSum-20", "ReadPosRankSum < -20.0"))


class HardFilter:
    """Filters of one run. snp_filters, indel_filters: (name, expression)."""

    def __init__(self, header: VariantHeader, snp_filters=SNP_FILTERS, indel_filters=INDEL_FILTERS):
        self.selection = Selection(SelectionOptions(), header)
        self.samples, self.left_out = self.selection.samples, 0
        chosen = self.selection.chosen
        self._parts = [
            (np.array([t in types for t in TYPES]), Filtration(FiltrationOptions(tuple(filters)), header, chosen=chosen, written=True))
            for types, filters in ((("SNP",), snp_filters), (("INDEL", "MIXED"), indel_filters))
        ]

    def header_lines(self, names=None, lengths=None, assemblies=None, reference_uri=None) -> list[str]:
        """All header lines without fileformat. The arguments are those of `Selection.header_lines`."""
        lines = self.selection.header_lines(names, lengths, assemblies, reference_uri)
        return lines + [line for _, filtration in self._parts for line in filtration.header_lines()]

    def lines(self, records: VariantRecords, wanted: np.ndarray):
        """(text, offset, rows, source): the SNPs among `wanted` (rows), then the indels and mixed records.

        rows: int64, of `records`. source: int32, 0 for SNPs, 1 for others.

        Raises
        ------
        UserError, InputError: as `Filtration.lines`.
        """
        kind = Sites(records.take(wanted)).type
        rows = [wanted[np.flatnonzero(types[kind])] for types, _ in self._parts]
        (text, offset), (more, more_offset) = [f.lines(records, own) for (_, f), own in zip(self._parts, rows)]
        both = np.concatenate(rows)
        self.left_out += len(wanted) - len(both)
        offset = np.concatenate([offset, more_offset[1:] + len(text)])
        return np.concatenate([text, more]), offset, both, np.repeat(np.arange(2, dtype=np.int32), [len(own) for own in rows])
