"""Known variant sites as spans: from VCF (plain or compressed, no index needed) and BED."""

import numpy as np

from gpugenome.errors import InputError
from gpugenome.io.variant_text import read_bed, read_variant_text


def read_sites(paths, names, lengths, threads: int = 1) -> list[np.ndarray]:
    """The spans of all features of several files, by contig.

    names, lengths: the contigs of the reference. VCF features run from POS to INFO END, else over REF.

    Returns
    -------
    One int64[k, 2] a contig, 0-based half-open, sorted by start; features are neither merged nor counted once.

    Raises
    ------
    InputError: a damaged file, or sites of which none lie on the reference's contigs.
    """
    contigs = {name: i for i, name in enumerate(names)}
    found: list[list[np.ndarray]] = [[] for _ in names]
    for path in paths:
        if path.lower().removesuffix(".gz").endswith(".bed"):
            spans = read_bed(path)
            pairs = [(name, span) for name, span in spans.items()]
        else:
            pairs = _vcf_spans(path, threads)
        if pairs and not any(name in contigs for name, _ in pairs):
            have = ", ".join(names[:3])
            raise InputError(path, f"has sites on {pairs[0][0]} only, which the reference has not (its contigs: {have} ...)")
        for name, span in pairs:
            if name in contigs:
                length = int(lengths[contigs[name]])
                if len(span) and int(span[:, 0].max()) >= length:
                    raise InputError(path, f"has a site at {name}:{int(span[:, 0].max()) + 1}, beyond the contig's {length} bp")
                found[contigs[name]].append(span)
    out = []
    for spans in found:
        a = np.concatenate([np.empty((0, 2), np.int64), *spans])
        out.append(a[np.argsort(a[:, 0], kind="stable")])
    return out


def _vcf_spans(path, threads):
    """[(contig, int64[k, 2])] of a VCF."""
    vcf = read_variant_text(path, threads)
    if not len(vcf):
        return []
    values, first, which = np.unique(vcf.hashes[:, 0], return_index=True, return_inverse=True)
    spans = np.stack([vcf.pos.astype(np.int64) - 1, np.maximum(vcf.end_pos, vcf.pos).astype(np.int64)], 1)
    return [(vcf.text(int(first[i]), 0), spans[which == i]) for i in range(len(values))]
