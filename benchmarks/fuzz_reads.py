"""The random small BAMs, known sites and options of fuzz_stages.py: the same for a seed on every machine."""

import random

import pysam

CONTIGS = {"c1": 3000, "c2": 2000, "c3": 700, "c4": 300}


class Draw:
    """Random choices that are the same for every version of Python: all from `random()`, whose sequence is guaranteed."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def chance(self, p):
        return self._random() < p

    def between(self, low, high):
        """A whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def choice(self, values):
        return values[int(self._random() * len(values))]

    def shuffled(self, values):
        return sorted(values, key=lambda _: self._random())

    def text(self, letters, n):
        return "".join(self.choice(letters) for _ in range(n))


def make_reference(folder):
    """reference.fa with its index and dictionary, the same for all seeds; also its sequences by name."""
    draw, sequences = Draw("reference"), {}
    for name, length in CONTIGS.items():
        bases = draw.text("ACGT", length)
        for letters in ("N", "N", "RYKM", "acgt"):
            at, n = draw.between(100, length - 60), draw.between(1, 40)
            bases = bases[:at] + draw.text(letters, n) + bases[at + n :]
        sequences[name] = bases
    path = folder / "reference.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in sequences.items()))
    pysam.faidx(str(path))
    pysam.dict("-o", str(folder / "reference.dict"), str(path), catch_stdout=False)
    return sequences


class Case:
    """The files of one seed in a folder: reads.bam (grouped by name), known sites; and the options of every stage."""

    def __init__(self, seed, folder, sequences):
        self.seed, self.folder, self.sequences = seed, folder, sequences
        self.draw = d = Draw(seed)
        self.barcodes = d.choice(["", "", "", "", "umi", "duplex"])
        self.length = d.choice([25, 40, 76])
        self.best = d.choice(["I", "I5", "IF:,#", "I/05"])
        self.old_groups = d.chance(0.3)
        self.groups = self._read_groups()
        self.wild = d.choice([0.0, 0.1, 0.3, 0.6])
        self.spots = [(d.choice([1101, 1102, 70000, 65535]), d.choice([100, 32700, 5000]), d.choice([200, 65400, 32760, 40000]))
                      for _ in range(3)]  # fmt: skip
        self.sites = [(d.choice(list(CONTIGS)), d.between(1, 300), d.chance(0.5)) for _ in range(d.between(2, 8))]
        self._write_reads()
        self._write_sites()
        self.markdup, self.grouped = self._markdup_options(), self._markdup_options()
        self.bqsr, self.apply = self._bqsr_options(), self._apply_options()

    def _read_groups(self):
        d, out = self.draw, []
        names = d.shuffled(["a", "1", "010", "08", "2.5", "lane.3", "x-y"])[: d.between(1, 5)]
        for name in names:
            group = {"ID": name, "PL": d.choice(["ILLUMINA", "illumina", "454"]), "SM": "s"}
            if d.chance(0.8):
                group["LB"] = d.choice(["L1", "L2", "10"])
            if d.chance(0.5):
                group["PU"] = d.choice(["fc.1", "fc.10", "08", "7"])
            if d.chance(0.2):
                group["DT"] = d.choice(
                    ["2009-12-02T00:00:00-0500", "2010-01-31", "2011-02-03T04:05:06Z", "a day", "2020-12-31T23:59:59.5+0130"]
                )
            fields = list(group.items())
            out.append(dict(fields[:1] + d.shuffled(fields[1:])))
        return out

    def _header(self):
        d = self.draw
        lines = [d.choice(["@HD\tVN:1.5\tSO:unsorted\tGO:query", "@HD\tVN:1.6\tGO:query", "@HD\tGO:none\tSO:unsorted\tVN:1.4"])]
        lines += [f"@SQ\tSN:{name}\tLN:{length}" + d.choice(["", "\tM5:0123\tAS:b", "\tUR:file:x"]) for name, length in CONTIGS.items()]
        groups = ["@RG\t" + "\t".join(f"{k}:{v}" for k, v in g.items()) for g in self.groups]
        if d.chance(0.2):
            groups.append("@RG\tID:unused\tPL:ILLUMINA\tLB:empty\tSM:s")
        programs = ["@PG\tID:bwa\tPN:bwa\tVN:0.7.17", "@PG\tPN:other\tID:other\tPP:bwa"][: d.between(0, 2)]
        if d.chance(0.15):
            programs.append("@PG\tID:MarkDuplicates\tPN:MarkDuplicates")
        comments = ["@CO\ta comment\twith tab"] if d.chance(0.3) else []
        lines += d.shuffled(groups + programs + comments) if d.chance(0.2) else groups + programs + comments
        return pysam.AlignmentHeader.from_text("\n".join(lines) + "\n")

    def _cigar(self):
        """[(letter, length)] with a body that needs reference bases and, at times, clips at either end."""
        d, n = self.draw, self.length
        if d.chance(1 - self.wild):
            body = [("M", n)]
        else:
            body = []
            if d.chance(0.15):
                body.append((d.choice("ID"), d.between(1, 4)))
            if d.chance(0.05):
                body.append(("I", d.between(1, 3)))
            for k in range(d.between(1, 3)):
                if k and d.chance(0.9):
                    body += [(o, 1 if o == "P" else d.between(1, 8)) for o in d.choice(["I", "D", "ID", "DI", "P", "IPI", "DD"])]
                body.append((d.choice("MMMMM=X"), d.between(1, n // 2)))
            if d.chance(0.1):
                body.append((d.choice("ID"), d.between(1, 4)))
            if d.chance(0.02):
                body += [("N", 30), ("M", 10)]
        left, right = [], []
        for side in (left, right):
            if d.chance(0.15 + 0.3 * self.wild):
                side.append(("S", d.between(1, 12)))
            if d.chance(0.05 + 0.1 * self.wild):
                side.insert(0, ("H", d.between(1, 9)))
        return left + body + right[::-1]

    def _place(self, site):
        """A read at a 5' site: its contig, position (1-based), strand, CIGAR and end, moved where it would leave the contig."""
        contig, five, reverse = site
        cigar = self._cigar()
        span = sum(n for o, n in cigar if o in "MDN=X")
        edge = reversed(cigar) if reverse else cigar
        clip = 0
        for o, n in edge:
            if o not in "SH":
                break
            clip += n
        at = five - clip - span + 1 if reverse else five + clip
        at = max(1, min(at, CONTIGS[contig] - span + 1))
        return {"contig": contig, "pos": at, "reverse": reverse, "cigar": cigar, "end": at + span - 1}

    def _site(self):
        d = self.draw
        if d.chance(0.75):
            return d.choice(self.sites)
        contig = d.choice(list(CONTIGS))
        five = d.between(1, CONTIGS[contig]) if d.chance(0.7) else d.choice([-3, 0, 1, 2, CONTIGS[contig], CONTIGS[contig] + 4])
        return contig, five, d.chance(0.5)

    def _bases(self, read):
        d, out = self.draw, []
        reference, at = self.sequences[read["contig"]].upper(), read["pos"] - 1
        for o, n in read["cigar"]:
            if o in "M=X":
                out.append(reference[at : at + n])
            elif o in "IS":
                out.append(d.text("ACGT", n))
            if o in "MDN=X":
                at += n
        bases = list("".join(out))
        for _ in range(d.choice([0, 0, 1, 2, 6])):
            bases[d.between(0, len(bases) - 1)] = d.choice("ACGTNR")
        return "".join(bases)

    def _qualities(self, n):
        d = self.draw
        if d.chance(0.02):
            return "*"
        q = [d.choice(self.best) for _ in range(n)] if d.chance(0.8) else [chr(33 + d.between(0, 60)) for _ in range(n)]
        for where in range(2):
            if d.chance(0.15):
                k = d.between(1, min(n, 12))
                tail = [chr(33 + d.choice([2, 2, 1, 0])) for _ in range(k)]
                q = tail + q[k:] if where else q[:-k] + tail
        return "#" * n if d.chance(0.01) else "".join(q)

    def _name(self, t):
        d = self.draw
        tile, x, y = d.choice(self.spots)
        x += d.choice([0, 0, 40, 90, 100, 101, 150, 230, 2400])
        y += d.choice([0, 0, 30, 99, 100, 120, 2000])
        kind = d.between(1, 20)
        if kind <= 13:
            return f"I:{t}:FC:1:{tile}:{x}:{y}"
        if kind <= 15:
            return f"I{t}:1:{tile}:{x}:{y}"
        return [
            f"I:{t}:FC:1:{tile}:{x}:{y}:ACGT",
            f"I:{t}:FC:{tile}:{x}:{y}",
            f"r{t}",
            f"I:{t}:F:1:{tile}:{x}:{y}_AC#0",
            f"I:{t}:F:1:q:{x}:{y}",
        ][kind - 16]

    def _write_reads(self):
        d = self.draw
        self.header = self._header()
        rows = []
        paired_only = self.barcodes == "duplex"
        for t in range(d.between(20, 120)):
            rows += self._template(t, paired_only)
        with pysam.AlignmentFile(str(self.folder / "reads.bam"), "wb", header=self.header) as out:
            for text, wide in rows:
                read = pysam.AlignedSegment.fromstring(text, self.header)
                for tag, kind, value in wide:
                    read.set_tag(tag, value, kind)
                out.write(read)

    def _template(self, t, paired_only):
        """The records of one template: (SAM text, [(tag, type letter, value)])."""
        d = self.draw
        name, group = self._name(t), d.choice(self.groups)["ID"]
        umi, other = d.choice(["AC-GT", "GT-AC", "AC-GT", "AA-TT"]), d.choice(["AAAA", "CCCC", None])
        fail = 512 if d.chance(0.05) else 0
        old = 1024 if d.chance(0.05) else 0
        program = d.choice(["bwa", "other", None, None, None])
        out = []

        def row(flag, read, mapq, mate, length=0, more=(), bare=False):
            if read["cigar"]:
                bases = self._bases(read)
            else:
                bases = d.text("ACGTN", d.between(1, self.length))
            if bare:
                bases = "*"
            quality = "*" if bare else self._qualities(len(bases))
            tags = [] if group is None else [f"RG:Z:{group}"]
            if self.barcodes == "duplex" or d.chance(0.7):
                tags.append(f"RX:Z:{umi}")
            tags += [f"BX:Z:{other}"] if other else []
            tags += ["DT:Z:XX"] if d.chance(0.1) else []
            tags += [f"PG:Z:{program}"] if program else []
            if d.chance(0.3) and not bare:
                tags.append("OQ:Z:" + d.text("I5#/", len(bases)))
            if d.chance(0.1) and not bare:
                tags += ["BI:Z:" + d.text("IN", len(bases)), "BD:Z:" + d.text("IN", len(bases))]
            tags += d.shuffled([f"NM:i:{d.choice([0, 3, 130, 300, 70000, -5, -200, -40000])}", "AS:i:20", *more])
            if d.chance(0.2):
                tags.append(d.choice(["XF:f:1.5", "XB:B:s,1,-2,300", "XA:A:q", "ZB:B:C,1,2", "xs:Z:", "HI:i:2", "HI:i:1", "XH:H:1AE301"]))
            wide = [("ZI", "i", d.between(-3, 300))] if d.chance(0.2) else []
            cigar = "".join(f"{n}{o}" for o, n in read["cigar"]) or "*"
            flag |= fail | old
            fields = [
                name,
                flag,
                read["contig"] or "*",
                read["pos"],
                mapq,
                cigar,
                mate["contig"] or "*",
                mate["pos"],
                length,
                bases,
                quality,
            ]
            out.append(("\t".join([*map(str, fields), *tags]), wide))

        nowhere = {"contig": None, "pos": 0, "reverse": False, "cigar": [], "end": 0}
        mapq = d.choice([60, 60, 60, 60, 60, 20, 1, 0, 255])
        a = self._place(self._site())
        kind = d.between(1, 100)
        strand = 16 if a["reverse"] else 0
        if kind <= 12 and not paired_only:
            if d.chance(0.1):
                group = None
            row(strand, a, mapq, nowhere, bare=d.chance(0.02))
            if d.chance(0.1):
                s = self._place(self._site())
                row(2048 | (16 if s["reverse"] else 0), s, mapq, nowhere)
            return out
        first, second = d.choice([(64, 128), (128, 64)])
        if kind <= 20:
            u = {**a, "cigar": []}
            rows = [(1 | 8 | first | strand, a, mapq), (1 | 4 | second | (32 if strand else 0), u, 0)]
            for flag, read, q in d.shuffled(rows):
                row(flag, read, q, a)
        elif kind <= 25:
            if d.chance(0.2):
                group = None
            if d.chance(0.3):
                row(4, nowhere, 0, nowhere)
            else:
                row(1 | 4 | 8 | 64, nowhere, 0, nowhere)
                row(1 | 4 | 8 | 128, nowhere, 0, nowhere)
        else:
            b = self._place(self._site())
            k = d.between(1, 20)
            if k <= 3:
                b = self._place((a["contig"], a["end"] if a["reverse"] else a["pos"], not a["reverse"]))
            elif k <= 8:
                b = self._place((a["contig"], a["pos"] + d.between(-10, 90), not a["reverse"]))
            length = 0
            if a["contig"] == b["contig"]:
                left, right = (a, b) if a["pos"] <= b["pos"] else (b, a)
                length = max(a["end"], b["end"]) - left["pos"] + 1
                length = -length if left is b else length
                if d.chance(0.1):
                    length = d.choice([0, d.between(-90, 90), d.between(1, 60)])
            proper = 2 if d.chance(0.5) else 0
            flags = [1 | proper | x | (16 if me["reverse"] else 0) | (32 if mate["reverse"] else 0)
                     for x, me, mate in ((first, a, b), (second, b, a))]  # fmt: skip
            cigars = ["MC:Z:" + "".join(f"{n}{o}" for o, n in r["cigar"]) for r in (a, b)]
            lonely = d.chance(0.03)
            for me, mate, flag, sign, mc in ((a, b, flags[0], 1, cigars[1]), (b, a, flags[1], -1, cigars[0])):
                if lonely and me is b:
                    break
                row(flag, me, mapq, mate, sign * length, [mc])
                for extra in (2048, 256):
                    if d.chance(0.08):
                        s = self._place(self._site())
                        row(
                            flag & ~16 | extra | (16 if s["reverse"] else 0),
                            s,
                            d.choice([0, 60]),
                            mate,
                            0,
                            [mc],
                            bare=extra == 256 and d.chance(0.3),
                        )
        return out

    def _write_sites(self):
        d, rows = self.draw, []
        for name, bases in self.sequences.items():
            for _ in range(d.between(0, len(bases) // 60)):
                p = d.between(1, len(bases)) if d.chance(0.8) else d.choice([1, 2, len(bases) - 1, len(bases)])
                base = bases[p - 1].upper()
                kind, info = d.between(1, 10), "."
                ref, alt = base, d.choice([x for x in "ACGT" if x != base])
                if kind == 5:
                    alt += ",*"
                elif kind in (6, 7):
                    alt = base + d.text("ACGT", d.between(1, 9))
                elif kind in (8, 9):
                    ref, alt = bases[p - 1 : p - 1 + d.choice([2, 3, 5, 10, 40])].upper(), base
                elif kind == 10:
                    alt, info = "<DEL>", f"END={min(len(bases), p + d.between(0, 90))}"
                if set(ref) <= set("ACGT") and ref != alt:
                    rows.append((list(CONTIGS).index(name), p, f"{name}\t{p}\t.\t{ref}\t{alt}\t.\t.\t{info}"))
        head = '##fileformat=VCFv4.2\n##INFO=<ID=END,Number=1,Type=Integer,Description="e">\n'
        head += "".join(f"##contig=<ID={n},length={k}>\n" for n, k in CONTIGS.items()) + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        vcf = self.folder / "known.vcf"
        vcf.write_text(head + "".join(text + "\n" for _, _, text in sorted(rows)))
        pysam.tabix_index(str(vcf), preset="vcf", force=True, keep_original=False)
        spans = sorted((d.between(0, 2), d.between(0, 600)) for _ in range(d.between(0, 12)))
        bed = self.folder / "known.bed"
        bed.write_text("".join(f"{list(CONTIGS)[c]}\t{s}\t{s + d.between(1, 30)}\n" for c, s in spans))
        pysam.tabix_index(str(bed), preset="bed", force=True, keep_original=False)
        self.known = [self.folder / "known.vcf.gz", *([self.folder / "known.bed.gz"] if spans and d.chance(0.5) else [])]

    def _markdup_options(self):
        """{Picard name: value}; None stands for null."""
        d, out = self.draw, {}
        for name, chance, values in (
            ("REMOVE_DUPLICATES", 0.1, ["true"]), ("REMOVE_SEQUENCING_DUPLICATES", 0.1, ["true"]),
            ("TAGGING_POLICY", 0.5, ["All", "OpticalOnly", "DontTag"]), ("CLEAR_DT", 0.2, ["false"]),
            ("TAG_DUPLICATE_SET_MEMBERS", 0.5, ["true"]), ("ADD_PG_TAG_TO_READS", 0.15, ["false"]),
            ("PROGRAM_RECORD_ID", 0.15, ["null", "other", "mine"]),
            ("DUPLICATE_SCORING_STRATEGY", 0.4, ["TOTAL_MAPPED_REFERENCE_LENGTH", "RANDOM"]), ("READ_NAME_REGEX", 0.1, ["null"]),
            ("OPTICAL_DUPLICATE_PIXEL_DISTANCE", 0.5, ["0", "50", "2500"]), ("MAX_OPTICAL_DUPLICATE_SET_SIZE", 0.15, ["-1", "3"]),
        ):  # fmt: skip
            if d.chance(chance):
                out[name] = d.choice(values)
        if self.barcodes:
            out["BARCODE_TAG"] = "RX"
            if self.barcodes == "duplex":
                out["DUPLEX_UMI"] = "true"
            for name in ("READ_ONE_BARCODE_TAG", "READ_TWO_BARCODE_TAG"):
                if d.chance(0.4):
                    out[name] = "BX"
        return out

    def _intervals(self):
        d, out = self.draw, []
        if d.chance(0.4):
            for option in d.choice([["-L"], ["-XL"], ["-L", "-XL"], ["-L", "-L", "-XL"]]):
                contig = d.choice(list(CONTIGS)[:3])
                a = d.between(1, 500)
                out += [option, d.choice([contig, f"{contig}:{a}-{a + d.between(0, 200)}", f"{contig}:{a}"])]
                if option == "-XL" and out[-1] == "c1":
                    out[-1] = "c1:1-150"
            if d.chance(0.3):
                out += d.choice([["-ip", "20"], ["-ixp", "7"]] if "-L" in out else [["-ixp", "7"]])
        return out

    def _bqsr_options(self):
        d, out = self.draw, self._intervals()
        for name, chance, low, high in (
            ("--mismatches-context-size", 0.4, 1, 5), ("--indels-context-size", 0.2, 1, 8), ("--low-quality-tail", 0.3, 0, 14),
            ("--preserve-qscores-less-than", 0.3, 0, 20), ("--quantizing-levels", 0.3, 1, 94), ("--maximum-cycle-value", 0.2, 100, 700),
        ):  # fmt: skip
            if d.chance(chance):
                out += [name, str(d.between(low, high))]
        return out + (["--use-original-qualities"] if d.chance(0.3) else [])

    def _apply_options(self):
        d, out = self.draw, self._intervals()
        if d.chance(0.3):
            out += ["--preserve-qscores-less-than", str(d.between(0, 20))]
        kind = d.between(1, 4)
        if kind == 1:
            out += ["--quantize-quals", str(d.choice([-1, 1, 3, 7, 30, 94]))]
        elif kind == 2:
            for q in sorted({d.between(7, 60) for _ in range(d.between(1, 4))}):
                out += ["--static-quantized-quals", str(q)]
            out += ["--round-down-quantized"] if d.chance(0.5) else []
        out += ["--emit-original-quals"] if d.chance(0.4) else []
        out += ["--use-original-qualities"] if d.chance(0.4) else []
        out += ["--global-qscore-prior", str(d.between(1, 90) / 2)] if d.chance(0.2) else []
        return out + (["--allow-missing-read-group"] if d.chance(0.9) else [])
