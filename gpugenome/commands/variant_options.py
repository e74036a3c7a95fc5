"""What `variantfiltration`, `selectvariants` and `hardfilter` share: their options and the way from file to file."""

import click

from gpugenome.commands.options import check_input, check_output, switch

_HEADER_BYTES = 1 << 20
variant = click.option("--variant", "-V", type=click.Path(), required=True, help="VCF to read (plain, gzip or BGZF).")
optional_reference = click.option("--reference", "-R", type=click.Path(), help="Reference FASTA; not needed.")
output = click.option("--output", "-O", type=click.Path(), required=True, help=".vcf or .vcf.gz; '-' is plain VCF on standard output.")
sites_only = switch("--sites-only-vcf-output", text="Leave the genotypes out.")


def named_expressions(names, expressions, name_option: str, expression_option: str) -> tuple[tuple[str, str], ...]:
    """Pairs of filter names and expressions.

    Raises
    ------
    UserError: not as many names as expressions.
    """
    from gpugenome.errors import UserError

    if len(names) != len(expressions):
        raise UserError(f"{len(names)} {name_option} and {len(expressions)} {expression_option}: expected as many names as expressions")
    return tuple(zip(names, expressions))


def open_variants(variant, reference, output, intervals, threads, others=()):
    """Check the paths and read the header. Returns (header, contigs, lengths, wanted intervals or None, threads)."""
    from gpugenome import pipeline
    from gpugenome.commands.options import read_intervals
    from gpugenome.errors import InputError
    from gpugenome.io.variant_records import VariantFile

    paths = [p for p in (variant, reference, *others) if p]
    for path in paths:
        check_input(path)
    check_output(output, *paths)
    threads = threads or pipeline.usable_threads()
    header = VariantFile(variant, None, threads, _HEADER_BYTES).header
    names, lengths = list(header.contigs), list(header.contigs.values())
    if reference:
        from gpugenome.io.fasta import Reference

        genome = Reference(reference)
        for name, length in header.contigs.items():
            if name in genome.names and length >= 0 and int(genome.lengths[genome.names.index(name)]) != length:
                raise InputError(variant, f"contig {name} has {length} bp, another length than in the reference {reference}", "header")
        names, lengths = list(genome.names), [int(x) for x in genome.lengths]
    elif not names or min(lengths) < 0:
        raise InputError(variant, "its header does not have the lengths of the contigs; give the reference (-R)")
    return header, names, lengths, read_intervals(intervals, names, lengths), threads


def rows_in(wanted, records):
    """int64: the records that overlap the intervals (None: all)."""
    import numpy as np

    from gpugenome.steps.variants.filtration import overlaps

    if wanted is None:
        return np.arange(len(records))
    chosen = np.array(wanted, np.int64).reshape(-1, 3)
    keep = np.zeros(len(records), bool)
    for ref_id in np.unique(records.ref_id).tolist():
        own = records.ref_id == ref_id
        keep[own] = overlaps(chosen[chosen[:, 0] == ref_id][:, 1:], records.start[own], records.end[own])
    return np.flatnonzero(keep)
