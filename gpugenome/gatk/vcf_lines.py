"""Header lines of VCF in GATK's wording and order. A line is its text without the leading "##".

Source: GATKVCFHeaderLines, VCFStandardHeaderLines, VCFHeader.
"""

from functools import cmp_to_key


def field_line(place: str, key: str, number: str, kind: str, description: str) -> str:
    """An INFO or FORMAT line."""
    escaped = description.replace('"', '\\"')
    return f'{place}=<ID={key},Number={number},Type={kind},Description="{escaped}">'


def filter_line(name: str, description: str) -> str:
    """A FILTER line."""
    escaped = description.replace('"', '\\"')
    return f'FILTER=<ID={name},Description="{escaped}">'


def command_line(program: str, tool: str, command: str, version: str) -> str:
    """How the file was made. program: begins the line's key, as GATK does in GATKCommandLine."""
    escaped = command.replace("\\", "\\\\").replace('"', '\\"')
    return f'{program}CommandLine=<ID={tool},CommandLine="{escaped}",Version="{version}">'


NON_REF = (
    'ALT=<ID=NON_REF,Description="Represents any possible alternative allele not already represented at this location by REF and ALT">'
)
LOW_QUAL = filter_line("LowQual", "Low quality")
GT = field_line("FORMAT", "GT", "1", "String", "Genotype")
GQ = field_line("FORMAT", "GQ", "1", "Integer", "Genotype Quality")
DP = field_line("FORMAT", "DP", "1", "Integer", "Approximate read depth (reads with MQ=255 or with bad mates are filtered)")
AD = field_line("FORMAT", "AD", "R", "Integer", "Allelic depths for the ref and alt alleles in the order listed")
PL = field_line(
    "FORMAT", "PL", "G", "Integer", "Normalized, Phred-scaled likelihoods for genotypes as defined in the VCF specification"
)
MIN_DP = field_line("FORMAT", "MIN_DP", "1", "Integer", "Minimum DP observed within the GVCF block")
PGT = field_line(
    "FORMAT", "PGT", "1", "String",
    "Physical phasing haplotype information, describing how the alternate alleles are phased in relation to one another; "
    "will always be heterozygous and is not intended to describe called alleles",
)  # fmt: skip
PID = field_line(
    "FORMAT", "PID", "1", "String",
    "Physical phasing ID information, where each unique ID within a given sample (but not across samples) connects records "
    "within a phasing group",
)  # fmt: skip
PS = field_line("FORMAT", "PS", "1", "Integer", "Phasing set (typically the position of the first variant in the set)")
END = field_line("INFO", "END", "1", "Integer", "Stop position of the interval")
MLEAC = field_line(
    "INFO", "MLEAC", "A", "Integer",
    "Maximum likelihood expectation (MLE) for the allele counts (not necessarily the same as the AC), for each ALT allele, "
    "in the same order as listed",
)  # fmt: skip
MLEAF = field_line(
    "INFO", "MLEAF", "A", "Float",
    "Maximum likelihood expectation (MLE) for the allele frequency (not necessarily the same as the AF), for each ALT allele, "
    "in the same order as listed",
)  # fmt: skip
DB = field_line("INFO", "DB", "0", "Flag", "dbSNP Membership")


def contig_lines(names, lengths, assemblies=None) -> list[str]:
    """The contig lines. assemblies: the AS tag of each @SQ line, or None."""
    extra = [f",assembly={a}" if a else "" for a in assemblies or [None] * len(names)]
    return [f"contig=<ID={name},length={int(length)}{more}>" for name, length, more in zip(names, lengths, extra)]


def gvcf_block_lines(bands) -> list[str]:
    """One line for each band of genotype quality. bands: upper bounds, as of -GQB."""
    edges = [0, *bands, *([100] if bands[-1] < 100 else [])]
    return [f"GVCFBlock{a}-{b}=minGQ={a}(inclusive),maxGQ={b}(exclusive)" for a, b in zip(edges[:-1], edges[1:])]


def header_text(lines, samples=None) -> bytes:
    """The whole header: lines sorted by their text, contigs among themselves as given, each once; then the column names.

    samples: names of the sample columns; none or empty: sites only.
    """

    def compare(a, b):
        if a.startswith("contig=") and b.startswith("contig="):
            return 0
        return -1 if a < b else int(a > b)

    ordered = sorted(dict.fromkeys(lines), key=cmp_to_key(compare))
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", *(["FORMAT", *samples] if samples else [])]
    return "\n".join(["##fileformat=VCFv4.2", *("##" + line for line in ordered), "\t".join(columns), ""]).encode("latin-1", "replace")
