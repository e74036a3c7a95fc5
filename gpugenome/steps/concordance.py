"""Compare two VCFs: which records differ, in which field, and what kind of difference it is.

Records are paired by contig, POS, REF and ALT; everything else is compared by the exact bytes of each field. Variants left over on
both sides that give the same sequences when applied to the reference are "representation" differences, not errors.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from gpugenome.errors import InputError
from gpugenome.kernels.launch import run_chunks
from gpugenome.kernels.vcf_compare_cpu import hash_bytes, hash_format, hash_info, parse_genotypes

KINDS = {0: "SNP", 1: "INDEL", 3: "MNP"}
CLUSTER_GAP_BP = 60
MAX_PLOIDY = 16
MAX_HET_IN_CLUSTER = 8

CATEGORIES = (
    "identical", "genotype", "phase", "likelihoods", "qd_jitter", "one_annotation", "annotations", "filter_or_id",
    "alleles", "representation", "missing", "extra",
)  # fmt: skip


@dataclass
class Comparison:
    """summary: plain data for JSON and tables. rows: (contig, pos, category, fields) of every differing record, in truth order."""

    summary: dict
    rows: list = field(default_factory=list)


def _keys_hash(names):
    return np.array([hash_bytes(np.frombuffer(n.encode(), np.uint8)) for n in names], np.uint64)


def _mix(hashes):
    """One uint64 a record of several columns' hashes."""
    out = np.zeros(len(hashes), np.uint64)
    for j in range(hashes.shape[1]):
        out = (out ^ hashes[:, j]) * np.uint64(0x9E3779B97F4A7C15)
        out ^= out >> np.uint64(31)
    return out


def _with_rank(keys):
    """Make equal keys distinct by their order of appearance, so that repeated records pair first with first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)]
    at = np.arange(len(keys))
    rank = np.empty(len(keys), np.uint64)
    rank[order] = (at - np.maximum.accumulate(np.where(new, at, 0))).astype(np.uint64)
    return keys + rank * np.uint64(0xD1B54A32D192ED03)


def _pair(a, b):
    """Rows of a and of b that share a key, in order of a."""
    _, i, j = np.intersect1d(_with_rank(a), _with_rank(b), assume_unique=True, return_indices=True)
    order = np.argsort(i)
    return i[order], j[order]


def _chosen(vcf, regions, pass_only, contig_names):
    keep = np.ones(len(vcf), bool)
    if pass_only:
        ok = _keys_hash(["PASS", "."])
        keep &= np.isin(vcf.hashes[:, 6], ok)
    if regions is not None:
        inside = np.zeros(len(vcf), bool)
        for name, spans in regions.items():
            mine = np.flatnonzero(vcf.hashes[:, 0] == contig_names[name])
            at = np.searchsorted(spans[:, 0], vcf.pos[mine] - 1, "right") - 1
            inside[mine] = (at >= 0) & (vcf.pos[mine] - 1 < spans[np.maximum(at, 0), 1])
        keep &= inside
    return np.flatnonzero(keep)


def _sample_pairs(truth, evaluated, truth_sample, eval_sample):
    def column(vcf, name):
        if name not in vcf.samples:
            raise InputError(vcf.path, f"has no sample {name!r}, expected one of {', '.join(vcf.samples) or 'none'}")
        return 9 + vcf.samples.index(name)

    if truth_sample or eval_sample:
        t, e = truth_sample or eval_sample, eval_sample or truth_sample
        return [(e, column(truth, t), column(evaluated, e))]
    common = [s for s in truth.samples if s in evaluated.samples]
    if common:
        return [(s, column(truth, s), column(evaluated, s)) for s in common]
    if len(truth.samples) == len(evaluated.samples) == 1:
        return [(evaluated.samples[0], 9, 9)]
    if truth.samples and evaluated.samples:
        raise InputError(evaluated.path, f"shares no sample with {truth.path}; name them with --truth-sample and --eval-sample")
    return []


def _genotypes(vcf, rows, column, threads):
    alleles, phased = np.empty((len(rows), MAX_PLOIDY), np.int16), np.zeros(len(rows), np.uint8)
    run_chunks(parse_genotypes, len(rows), threads, vcf.data, vcf.columns, rows, column, alleles, phased)
    return alleles, phased


def _field_hashes(vcf, rows, keys, samples, threads):
    """INFO [n, k], unlisted INFO [n], and FORMAT [s][n, k] hashes of some records."""
    info, unknown = np.zeros((len(rows), len(keys[0])), np.uint64), np.zeros(len(rows), np.uint64)
    run_chunks(hash_info, len(rows), threads, vcf.data, vcf.columns, rows, _keys_hash(keys[0]), info, unknown)
    formats = []
    for column in samples:
        out = np.zeros((len(rows), len(keys[1])), np.uint64)
        run_chunks(hash_format, len(rows), threads, vcf.data, vcf.columns, rows, column, _keys_hash(keys[1]), out)
        formats.append(out)
    return info, unknown, formats


def compare(truth, evaluated, bases=None, regions=None, truth_sample=None, eval_sample=None, pass_only=False, threads=1) -> Comparison:
    """Compare two `io.variant_text.VariantText`.

    bases: function of a contig name giving its reference bases (uint8, upper case) or None; without it variants that are only written
    differently count as missing and extra. regions: {contig: int64[k, 2]} to look at. Samples are paired by name, or given.

    Raises
    ------
    InputError: samples that cannot be paired.
    """
    samples = _sample_pairs(truth, evaluated, truth_sample, eval_sample)
    names = {}
    for vcf in (truth, evaluated):
        _, first = np.unique(vcf.hashes[:, 0], return_index=True)
        names.update({int(vcf.hashes[i, 0]): vcf.text(i, 0) for i in first})
    if regions is not None:
        regions = {n: s for n, s in regions.items() if n in names.values()}
    code = {n: np.uint64(h) for h, n in names.items()}
    rows_t, rows_e = (_chosen(v, regions, pass_only, code) for v in (truth, evaluated))
    i, j = _pair(_mix(truth.hashes[rows_t][:, [0, 1, 3, 4]]), _mix(evaluated.hashes[rows_e][:, [0, 1, 3, 4]]))
    pair_t, pair_e = rows_t[i], rows_e[j]
    only_t, only_e = np.delete(rows_t, i), np.delete(rows_e, j)

    category = np.zeros(len(pair_t), np.int8)
    keys = [list(dict.fromkeys(a + b)) for a, b in
            ((truth.info_keys, evaluated.info_keys), (truth.format_keys, evaluated.format_keys))]  # fmt: skip
    same_fields = truth.hashes[pair_t][:, [2, 5, 6, 7]] == evaluated.hashes[pair_e][:, [2, 5, 6, 7]]
    same = same_fields.all(1)
    for _, t, e in samples:
        same &= (truth.hashes[pair_t, 8] == evaluated.hashes[pair_e, 8]) & (truth.hashes[pair_t, t] == evaluated.hashes[pair_e, e])
    look = np.flatnonzero(~same)
    info_t, other_t, format_t = _field_hashes(truth, pair_t[look], keys, [s[1] for s in samples], threads)
    info_e, other_e, format_e = _field_hashes(evaluated, pair_e[look], keys, [s[2] for s in samples], threads)
    unequal = {"ID": ~same_fields[look, 0], "QUAL": ~same_fields[look, 1], "FILTER": ~same_fields[look, 2]}
    for k, name in enumerate(keys[0]):
        unequal[f"INFO/{name}"] = info_t[:, k] != info_e[:, k]
    unequal["INFO/(undeclared)"] = other_t != other_e
    genotype_equal = np.ones(len(pair_t), bool)
    phase_differs = np.zeros(len(look), bool)
    for s, (_, t, e) in enumerate(samples):
        a, b = _genotypes(truth, pair_t, t, threads), _genotypes(evaluated, pair_e, e, threads)
        genotype_equal &= (a[0] == b[0]).all(1)
        phase_differs |= (a[1] != b[1])[look]
        for k, name in enumerate(keys[1]):
            key = f"FORMAT/{name}"
            unequal[key] = unequal.get(key, False) | (format_t[s][:, k] != format_e[s][:, k])
    absent = np.zeros(len(look), bool)
    gt = unequal.pop("FORMAT/GT", absent)
    wrong = ~genotype_equal[look]
    unequal = {"GT": wrong, "phase": gt & ~wrong, **unequal}
    count = sum((v.astype(np.int32) for k, v in unequal.items() if k not in ("GT", "phase")), np.zeros(len(look), np.int32))
    likelihood = unequal["QUAL"] | unequal.get("FORMAT/GQ", absent) | unequal.get("FORMAT/PL", absent)
    label = {c: n for n, c in enumerate(CATEGORIES)}
    category[look] = np.select(
        [wrong, unequal["phase"], likelihood, (count == 1) & unequal.get("INFO/QD", absent),
         (count == 1) & (unequal["ID"] | unequal["FILTER"]), count == 1, count > 1],
        [label[c] for c in ("genotype", "phase", "likelihoods", "qd_jitter", "filter_or_id", "one_annotation", "annotations")],
        label["identical"],
    )  # fmt: skip  (equal but for the order of keys: identical)

    # Records on one side only: same place with other alleles, or the same sequences written differently, or missing / extra.
    category_t, category_e = np.full(len(only_t), label["missing"]), np.full(len(only_e), label["extra"])
    place_t, place_e = _mix(truth.hashes[only_t][:, :2]), _mix(evaluated.hashes[only_e][:, :2])
    category_t[np.isin(place_t, place_e)] = label["alleles"]
    category_e[np.isin(place_e, place_t)] = label["alleles"]
    if bases is not None and samples:
        _find_representation(truth, evaluated, only_t, only_e, pair_t, pair_e, genotype_equal, samples[0], names, bases,
                             category_t, category_e, label["representation"], threads)  # fmt: skip
    summary = _summarise(truth, evaluated, samples, pair_t, pair_e, only_t, only_e, genotype_equal, category, category_t, category_e,
                         unequal, label, threads)  # fmt: skip
    blocks = _compare_blocks(truth, evaluated, samples, names, threads)
    if blocks:
        summary["gvcf_blocks"] = blocks
    matrix = np.stack(list(unequal.values()), 1) if len(look) else np.zeros((0, len(unequal)), bool)
    fields = list(unequal)
    rows = [(truth, pair_t[look[r]], category[look[r]], ",".join(fields[k] for k in np.flatnonzero(matrix[r])))
            for r in np.flatnonzero(category[look] != 0)]  # fmt: skip
    rows += [(truth, r, c, "") for r, c in zip(only_t, category_t)] + [(evaluated, r, c, "") for r, c in zip(only_e, category_e)]
    return Comparison(summary, [(v.text(r, 0), int(v.pos[r]), CATEGORIES[c], f) for v, r, c, f in rows])


def _called(vcf, rows, samples, side, threads):
    """Whether any compared sample carries an ALT allele; without samples every record counts."""
    if not samples:
        return np.ones(len(rows), bool)
    out = np.zeros(len(rows), bool)
    for s in samples:
        out |= (_genotypes(vcf, rows, s[side], threads)[0] > 0).any(1)
    return out


def _summarise(truth, evaluated, samples, pair_t, pair_e, only_t, only_e, genotype_equal, category, category_t, category_e, unequal,
               label, threads):  # fmt: skip
    everything = np.concatenate([category, category_t, category_e])
    counts = {c: int((everything == n).sum()) for c, n in label.items()}
    called_pair_t, called_pair_e = _called(truth, pair_t, samples, 1, threads), _called(evaluated, pair_e, samples, 2, threads)
    called_t, called_e = _called(truth, only_t, samples, 1, threads), _called(evaluated, only_e, samples, 2, threads)
    same_t, same_e = category_t == label["representation"], category_e == label["representation"]
    by_kind = {}
    for kind, name in KINDS.items():
        p, t, e = truth.kind[pair_t] == kind, truth.kind[only_t] == kind, evaluated.kind[only_e] == kind
        true_sites = int((p & called_pair_t).sum() + (t & called_t).sum())
        calls = int((p & called_pair_e).sum() + (e & called_e).sum())
        found = int((p & genotype_equal & called_pair_t).sum() + (t & same_t & called_t).sum())
        right = int((p & genotype_equal & called_pair_e).sum() + (e & same_e & called_e).sum())
        if true_sites or calls:
            recall, precision = found / true_sites if true_sites else None, right / calls if calls else None
            f1 = 2 * recall * precision / (recall + precision) if recall and precision else 0.0
            by_kind[name] = {"truth": true_sites, "eval": calls, "true_positives": found, "false_negatives": true_sites - found,
                             "false_positives": calls - right, "recall": recall, "precision": precision, "f1": f1}  # fmt: skip
    n_truth, n_eval = len(pair_t) + len(only_t), len(pair_e) + len(only_e)
    agreeing = int(genotype_equal.sum() + same_t.sum())
    share = {k: 1 - int(v.sum()) / len(pair_t) for k, v in unequal.items() if len(pair_t)}
    return {
        "truth": {"path": truth.path, "records": n_truth},
        "eval": {"path": evaluated.path, "records": n_eval},
        "samples": [s[0] for s in samples],
        "identical": bool(n_truth == n_eval == counts["identical"]),
        "genotype_concordance": agreeing / n_truth if n_truth else 1.0,
        "categories": counts,
        "by_kind": by_kind,
        "fields_equal": share,
    }


def _find_representation(truth, evaluated, only_t, only_e, pair_t, pair_e, genotype_equal, sample, names, bases,
                         category_t, category_e, code, threads):  # fmt: skip
    """Mark leftovers of both sides that give the same haplotypes, cluster by cluster (clusters are rare: leftovers close together)."""
    sides = []
    for vcf, only, pair, column in ((truth, only_t, pair_t, sample[1]), (evaluated, only_e, pair_e, sample[2])):
        contested = pair[~genotype_equal]
        rows = np.concatenate([only, contested, pair[genotype_equal]])
        is_open = np.arange(len(rows)) < len(only) + len(contested)
        variant = vcf.kind[rows] != 2
        mark = np.concatenate([np.arange(len(only)), np.full(len(rows) - len(only), -1)])
        sides.append((vcf, rows[variant], is_open[variant], mark[variant], column))
    for contig_hash, name in names.items():
        reference = bases(name)
        if reference is None:
            continue
        here = []
        for vcf, rows, is_open, mark, column in sides:
            mine = np.flatnonzero(vcf.hashes[rows, 0] == np.uint64(contig_hash))
            mine = mine[np.argsort(vcf.pos[rows[mine]], kind="stable")]
            here.append((vcf, rows[mine], is_open[mine], mark[mine], column))
        if not all(h[2].any() for h in here):
            continue
        start = np.concatenate([h[0].pos[h[1][h[2]]] for h in here])
        stop = np.concatenate([h[0].end_pos[h[1][h[2]]] for h in here])
        order = np.argsort(start, kind="stable")
        start, stop = start[order], np.maximum.accumulate(stop[order])
        new = np.concatenate([[True], start[1:] > stop[:-1] + CLUSTER_GAP_BP])
        lows, highs = start[new], stop[np.concatenate([new[1:], [True]])]
        for low, high in zip(lows, highs):
            parts = []
            for vcf, rows, is_open, mark, column in here:
                a, b = np.searchsorted(vcf.pos[rows], [low - CLUSTER_GAP_BP, high + CLUSTER_GAP_BP + 1])
                parts.append((vcf, rows[a:b], is_open[a:b], mark[a:b], column))
            if not all(p[2].any() for p in parts):
                continue
            window = (max(0, int(low) - 2 * CLUSTER_GAP_BP - 1), int(high) + 2 * CLUSTER_GAP_BP)
            found = [_haplotype_pairs(p, reference, window) for p in parts]
            if found[0] & found[1]:
                for target, p in zip((category_t, category_e), parts):
                    target[p[3][p[3] >= 0]] = code


def _haplotype_pairs(part, reference, window):
    """Every unordered set of haplotype sequences over a window that the genotypes allow; phased genotypes of "|" stay as they are."""
    vcf, rows, _, _, column = part
    variants = []
    for r in rows:
        fields = vcf.text(r, column).split(":")[0]
        if any(ch not in "0123456789|/" for ch in fields) or not fields:
            return set()
        alleles = [vcf.text(r, 3), *vcf.text(r, 4).split(",")]
        genotype = [int(x) for x in fields.replace("|", "/").split("/")]
        if max(genotype) >= len(alleles) or any(alleles[g][0] in "<*" for g in genotype):
            return set()
        variants.append((int(vcf.pos[r]) - 1, alleles, genotype, "|" in fields))
    free = [v for v in variants if len(set(v[2])) > 1 and not v[3]]
    if len(free) > MAX_HET_IN_CLUSTER or len({len(v[2]) for v in variants}) != 1 or len(variants[0][2]) > 2:
        return set()
    out = set()
    for turns in product((False, True), repeat=len(free)):
        turn = iter(turns)
        chosen = [(pos, alleles, g[::-1] if len(set(g)) > 1 and not phased and next(turn) else g) for pos, alleles, g, phased in variants]
        haplotypes = []
        for copy in range(len(variants[0][2])):
            text, at = [], window[0]
            for pos, alleles, g in chosen:
                if g[copy] == 0:
                    continue
                if pos < at:
                    break
                text += [reference[at:pos].tobytes(), alleles[g[copy]].encode()]
                at = pos + len(alleles[0])
            else:
                haplotypes.append(b"".join([*text, reference[at : window[1]].tobytes()]))
        if len(haplotypes) == len(variants[0][2]):
            out.add(tuple(sorted(haplotypes)))
    return out


def _compare_blocks(truth, evaluated, samples, names, threads):
    """Bases of reference blocks (records without a variant allele): covered by both, and with the same values on both sides."""
    rows = [np.flatnonzero(v.kind == 2) for v in (truth, evaluated)]
    if not len(rows[0]) or not len(rows[1]) or not samples:
        return None
    value = [v.hashes[r, samples[0][s + 1]] for s, (v, r) in enumerate(zip((truth, evaluated), rows))]
    total = {"truth_bases": 0, "eval_bases": 0, "shared_bases": 0, "equal_bases": 0}
    for contig in names:
        spans = []
        for v, r, h in zip((truth, evaluated), rows, value):
            mine = v.hashes[r, 0] == np.uint64(contig)
            order = np.argsort(v.pos[r[mine]], kind="stable")
            spans.append((v.pos[r[mine]][order].astype(np.int64), v.end_pos[r[mine]][order].astype(np.int64) + 1, h[mine][order]))
        if not len(spans[0][0]) or not len(spans[1][0]):
            continue
        cuts = np.unique(np.concatenate([x for s in spans for x in s[:2]]))
        width, at = np.diff(cuts), cuts[:-1]
        inside, values = [], []
        for start, end, h in spans:
            k = np.searchsorted(start, at, "right") - 1
            inside.append((k >= 0) & (at < end[np.maximum(k, 0)]))
            values.append(h[np.maximum(k, 0)])
        both = inside[0] & inside[1]
        total["truth_bases"] += int(width[inside[0]].sum())
        total["eval_bases"] += int(width[inside[1]].sum())
        total["shared_bases"] += int(width[both].sum())
        total["equal_bases"] += int(width[both & (values[0] == values[1])].sum())
    return total


def _percent(x):
    return "      -" if x is None else f"{100 * x:7.3f}"


def format_table(summary: dict) -> str:
    """The summary for people."""
    out = [f"truth  {summary['truth']['records']:>10} records  {summary['truth']['path']}",
           f"eval   {summary['eval']['records']:>10} records  {summary['eval']['path']}",
           f"records {'identical' if summary['identical'] else 'NOT identical'}; "
           f"genotype concordance {100 * summary['genotype_concordance']:.4f} %", ""]  # fmt: skip
    if summary["by_kind"]:
        out.append(f"{'':6} {'truth':>9} {'eval':>9} {'TP':>9} {'FN':>7} {'FP':>7} {'recall':>7} {'precis.':>7} {'F1':>7}")
        for kind, m in summary["by_kind"].items():
            out.append(f"{kind:6} {m['truth']:9} {m['eval']:9} {m['true_positives']:9} {m['false_negatives']:7} {m['false_positives']:7} "
                       f"{_percent(m['recall'])} {_percent(m['precision'])} {_percent(m['f1'])}")  # fmt: skip
        out.append("")
    out += [f"{c:16} {n:>9}" for c, n in summary["categories"].items() if n or c == "identical"]
    unequal = {k: v for k, v in summary["fields_equal"].items() if v < 1}
    if unequal:
        out += ["", "fields that differ in paired records, share equal (%):"]
        out += [f"  {k:24} {100 * v:9.4f}" for k, v in sorted(unequal.items(), key=lambda kv: kv[1])]
    if "gvcf_blocks" in summary:
        b = summary["gvcf_blocks"]
        out += ["", f"reference blocks: {b['truth_bases']} truth bases, {b['eval_bases']} eval bases, {b['shared_bases']} in both, "
                f"{b['equal_bases']} with equal values"]  # fmt: skip
    return "\n".join(out)


def format_multiqc(summary: dict, name: str) -> str:
    """A MultiQC custom-content table: one row a variant kind."""
    lines = ["# id: gpugenome_concordance", "# section_name: gpugenome concordance", "# plot_type: table",
             "Sample\ttruth\teval\ttrue_positives\tfalse_negatives\tfalse_positives\trecall\tprecision\tf1"]  # fmt: skip
    for kind, m in summary["by_kind"].items():
        values = [m[k] for k in ("truth", "eval", "true_positives", "false_negatives", "false_positives", "recall", "precision", "f1")]
        lines.append("\t".join([f"{name}:{kind}", *("" if v is None else str(v) for v in values)]))
    return "\n".join(lines) + "\n"


def format_differences(result: Comparison) -> str:
    """Tab-separated: contig, pos, category, fields that differ."""
    return "#contig\tpos\tcategory\tfields\n" + "".join(f"{c}\t{p}\t{k}\t{f}\n" for c, p, k, f in result.rows)
