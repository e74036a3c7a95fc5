"""From the allele frequency model to calls: emitted alleles, genotypes, allele depths, printed alleles, physical phasing.

Source: GATK GenotypingEngine, HaplotypeCallerGenotypingEngine, AlleleSubsettingUtils, GATKVariantContextUtils (makeGenotypeCall,
reverseTrimAlleles), DepthPerAlleleBySample, AssemblyBasedCallerUtils.phaseCalls (behaviour; specification chapter "likelihoods and
genotyping", sections 10 and 11).
"""

import math

import numpy as np

from gpugenome.kernels.allele_frequency_cpu import log10_one_minus_pow10
from gpugenome.kernels.allele_frequency_scalar import genotype_index
from gpugenome.kernels.genotype_evidence_cpu import non_ref_likelihood
from gpugenome.kernels.genotype_evidence_scalar import to_pl
from gpugenome.kernels.genotype_sites_cpu import NON_REF, REFERENCE, SPANNING, allele_byte
from gpugenome.kernels.launch import jit

EPSILON = 1e-10  # added to log10 P(allele absent) before it is compared with the threshold
INFORMATIVE = 0.2  # log10; a read counts for its best allele if the second best is farther away
VARIANTS_ONLY, CONFIDENT_SITES, ACTIVE_SITES = 0, 1, 2


@jit
def _covered(deletions, n, position):
    """Whether an emitted deletion that begins further left covers the position."""
    for k in range(n):
        if deletions[k, 0] < position <= deletions[k, 1]:
            return True
    return False


@jit
def _record_deletions(deletions, n, start, lengths, keep):
    """Forget deletions that end before `start`, add those of a call's alleles: (array, number of rows in use)."""
    kept = 0
    for k in range(n):
        if deletions[k, 1] >= start:
            deletions[kept] = deletions[k]
            kept += 1
    if kept + len(lengths) > len(deletions):
        more = np.empty((2 * (kept + len(lengths)), 2), np.int64)
        more[:kept] = deletions[:kept]
        deletions = more
    for a in range(len(lengths)):
        if keep[a] and lengths[a] < lengths[0]:
            deletions[kept, 0] = start
            deletions[kept, 1] = start + lengths[0] - lengths[a]
            kept += 1
    return deletions, kept


@jit
def _keep_alleles(alleles, absent, used, forced, threshold, keep_all, covered, keep):
    """Mark the alleles of a site that are output: (whether none is plausible, number of ALTs output, code of the first)."""
    n_used = 0
    for a in range(len(alleles)):
        n_used += used[a]
    monomorphic, n_out, first = True, 0, 0
    keep[0] = 1
    for a in range(1, len(alleles)):
        keep[a] = 0
        if not used[a]:
            continue
        plausible = absent[a] + EPSILON < threshold
        spurious = alleles[a] == SPANNING and not covered
        wanted = plausible or keep_all or alleles[a] == NON_REF or forced[a]
        if plausible and not spurious:
            monomorphic = False
        if wanted and not spurious:
            keep[a] = 1
            if n_out == 0:
                first = alleles[a]
            n_out += 1
    return monomorphic, n_out, first


@jit
def emit_sites(
    site_start, allele_offset, allele, allele_length, no_variant, absent, used, forced, confidence, with_reference_confidence, output_mode,
    most_alleles, deletions, keep, emitted, qual, low_qual,
):  # fmt: skip
    """Which sites and alleles are called: one pass over sites in order, because "*" depends on the deletions emitted before.

    confidence: phred threshold of calls. forced: uint8 by allele. deletions: int64[k, 2], (start, last position covered) of deletions
    emitted before; returns them after the last site. Output: keep uint8 by allele; emitted, low_qual uint8 and qual float64 by site.
    """
    n = len(deletions)
    threshold = confidence * -0.1
    for i in range(len(site_start)):
        a, b = allele_offset[i], allele_offset[i + 1]
        emitted[i] = 0
        if b - a > most_alleles:
            continue
        covered = _covered(deletions, n, site_start[i])
        monomorphic, n_out, first = _keep_alleles(
            allele[a:b], absent[a:b], used[a:b], forced[a:b], threshold, with_reference_confidence, covered, keep[a:b]
        )
        p = no_variant[i]
        log10_confidence = (p if not monomorphic or with_reference_confidence else log10_one_minus_pow10(p)) + 0.0
        phred = -10.0 * log10_confidence + 0.0
        passes = (output_mode == CONFIDENT_SITES or not monomorphic) and phred >= confidence
        any_forced = False
        for k in range(a, b):
            any_forced = any_forced or forced[k] == 1
        if not passes and output_mode != ACTIVE_SITES and not (n_out > 0 and first == NON_REF) and not any_forced:
            continue
        if output_mode != ACTIVE_SITES and n_out == 1 and first == SPANNING:
            continue
        emitted[i] = 1
        qual[i] = phred
        low_qual[i] = not phred >= confidence
        deletions, n = _record_deletions(deletions, n, site_start[i], allele_length[a:b], keep[a:b])
    return deletions[:n].copy()


@jit
def _assign(pl, kept, genotype_allele, choose, call_has_non_ref, work, out_pl, gt):
    """PL, genotype and GQ of one sample over the kept alleles. Returns GQ."""
    n = len(out_pl)
    top = -np.inf
    for g in range(n):
        work[g] = pl[genotype_index(genotype_allele[g], kept, choose)] / -10.0
        top = max(top, work[g])
    best = 0
    for g in range(n):
        work[g] -= top
        if work[g] > work[best]:
            best = g
    second = -np.inf
    for g in range(n):
        if g != best:
            second = max(second, work[g])
    log10_gq = -(work[best] - second)
    to_pl(work[:n], out_pl)
    last = genotype_allele[best, genotype_allele.shape[1] - 1]
    if call_has_non_ref and last == len(kept) - 1:
        gt[: genotype_allele.shape[1]] = 0
        out_pl[:] = 0
    elif best == 0 and log10_gq > -0.1:
        gt[: genotype_allele.shape[1]] = -1
    else:
        gt[: genotype_allele.shape[1]] = genotype_allele[best]
    return int(math.floor(log10_gq * -10.0 + 0.5))


@jit
def assign_genotypes(
    begin, end, call_site, call_allele_offset, kept, allele_offset, allele, site_pl, site_pl_offset, samples, genotype_allele, choose, pl,
    pl_offset, gt, gq,
):  # fmt: skip
    """Genotypes of calls begin..end.

    call_site: int64, row of the site. kept: int64 by call_allele_offset, the call's alleles as indices within the site. site_pl: int32 by
    site_pl_offset. Output: pl int32 by pl_offset int64[calls * samples + 1] (empty rows where only REF is left), gt int16[c, s, ploidy],
    gq int32[c, s].
    """
    most = 1
    for c in range(begin, end):
        most = max(most, pl_offset[c * samples + 1] - pl_offset[c * samples])
    work = np.empty(most)
    for c in range(begin, end):
        i = call_site[c]
        mine = kept[call_allele_offset[c] : call_allele_offset[c + 1]]
        has_non_ref = allele[allele_offset[i] + mine[len(mine) - 1]] == NON_REF
        for s in range(samples):
            if len(mine) == 1:
                gt[c, s, :] = 0
                gq[c, s] = -1
                continue
            row = c * samples + s
            source = site_pl[site_pl_offset[i * samples + s] : site_pl_offset[i * samples + s + 1]]
            gq[c, s] = _assign(
                source, mine, genotype_allele, choose, has_non_ref, work, pl[pl_offset[row] : pl_offset[row + 1]], gt[c, s]
            )


@jit
def call_evidence(
    begin, end, call_site, call_allele_offset, kept, allele_offset, with_non_ref, site_evidence_offset, site_evidence_read, site_evidence,
    site_block_offset, filtered, read_sample, samples, evidence_offset, evidence_read, evidence, block_offset, depth,
):  # fmt: skip
    """Evidence of calls begin..end, all columns of the site, and allele depths.

    <NON_REF> is worked out again over the call's alleles where one was dropped. Output: evidence_read, evidence by evidence_offset and
    block_offset; depth int32[samples] x alleles of each call, flat by call_allele_offset * samples.
    """
    most = 1
    for c in range(begin, end):
        most = max(most, allele_offset[call_site[c] + 1] - allele_offset[call_site[c]])
    work = np.empty(most)
    for c in range(begin, end):
        i = call_site[c]
        n = allele_offset[i + 1] - allele_offset[i]
        mine = kept[call_allele_offset[c] : call_allele_offset[c + 1]]
        depth[call_allele_offset[c] * samples : call_allele_offset[c + 1] * samples] = 0
        again = with_non_ref and len(mine) != n
        for k in range(evidence_offset[c + 1] - evidence_offset[c]):
            read = site_evidence_read[site_evidence_offset[i] + k]
            evidence_read[evidence_offset[c] + k] = read
            row = evidence[block_offset[c] + k * n : block_offset[c] + (k + 1) * n]
            row[:] = site_evidence[site_block_offset[i] + k * n : site_block_offset[i] + (k + 1) * n]
            if again and not filtered[read]:
                row[n - 1] = non_ref_likelihood(row[: n - 1], mine, len(mine) - 1, work)
            best, second = 0, -np.inf
            for x in range(1, len(mine)):
                if row[mine[x]] > row[mine[best]]:
                    second = row[mine[best]]
                    best = x
                elif row[mine[x]] > second:
                    second = row[mine[x]]
            if row[mine[best]] - second > INFORMATIVE:
                depth[call_allele_offset[c] * samples + read_sample[read] * len(mine) + best] += 1


@jit
def _trim(alleles, lengths, start, ref_length, alt, alt_offset, contig):
    """Bases that all alleles but "*" and symbolic ones share at their end, one base left to the shortest."""
    shortest = lengths[0]
    for a in range(len(alleles)):
        if alleles[a] == REFERENCE or alleles[a] >= 0:
            shortest = min(shortest, lengths[a])
    cut = 0
    while cut < shortest - 1:
        base = contig[start + lengths[0] - 1 - cut]
        for a in range(1, len(alleles)):
            if alleles[a] >= 0 and allele_byte(alleles[a], lengths[a] - 1 - cut, start, ref_length, alt, alt_offset, contig) != base:
                return cut
        cut += 1
    return cut


@jit
def trim_lengths(
    begin, end, call_site, call_allele_offset, site_start, merged_count, code, length, ref_length, alt, alt_offset, contig, trimmed
):
    """trimmed[k] = printed bytes of allele k (int64) of calls begin..end; alleles are cut at the right where one was dropped.

    code, length: int64, int32 by call_allele_offset.
    """
    for c in range(begin, end):
        a, b = call_allele_offset[c], call_allele_offset[c + 1]
        i = call_site[c]
        cut = 0
        if b - a != merged_count[i] and b - a > 1:
            cut = _trim(code[a:b], length[a:b], site_start[i], ref_length, alt, alt_offset, contig)
        for k in range(a, b):
            trimmed[k] = length[k] - cut if code[k] == REFERENCE or code[k] >= 0 else (1 if code[k] == SPANNING else 9)


@jit
def fill_alleles(
    begin, end, call_site, call_allele_offset, site_start, code, ref_length, alt, alt_offset, contig, symbol, base, base_offset
):
    """Bytes of the printed alleles of calls begin..end. symbol: "<NON_REF>"."""
    for c in range(begin, end):
        start = site_start[call_site[c]]
        for k in range(call_allele_offset[c], call_allele_offset[c + 1]):
            at, n = base_offset[k], base_offset[k + 1] - base_offset[k]
            if code[k] == SPANNING:
                base[at] = 42
            elif code[k] == NON_REF:
                base[at : at + n] = symbol
            else:
                for x in range(n):
                    base[at + x] = allele_byte(code[k], x, start, ref_length, alt, alt_offset, contig)


@jit
def mark_haplotypes(begin, end, call_site, call_allele_offset, kept, site_region, hap_offset, hap_allele, hap_allele_offset, hap_called):
    """hap_called[h] = 1, 2, ... for haplotypes of the alleles of calls begin..end in the order in which they occur (int32, 0 at first)."""
    n = 0
    for c in range(begin, end):
        i = call_site[c]
        h0 = hap_offset[site_region[i]]
        haps = hap_allele[hap_allele_offset[i] : hap_allele_offset[i + 1]]
        for k in range(call_allele_offset[c], call_allele_offset[c + 1]):
            for h in range(len(haps)):
                if haps[h] == kept[k] and hap_called[h0 + h] == 0:
                    n += 1
                    hap_called[h0 + h] = n
