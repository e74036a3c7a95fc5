"""Records as filters and selections see them: types, QUAL, FILTER, INFO values, genotypes; and as the variables of JEXL expressions.

Source: htsjdk VariantContext, Genotype, VCFCodec, VariantJEXLContext, GenotypeJEXLContext.
"""

from functools import cached_property

import numpy as np

from gpugenome.columns import text_values
from gpugenome.errors import InputError, UserError
from gpugenome.gatk import jexl
from gpugenome.gatk.jexl import Column, booleans, integers
from gpugenome.io.variant_records import VariantHeader, VariantRecords
from gpugenome.kernels import variant_filter_cpu as kernel
from gpugenome.kernels.launch import run_chunks
from gpugenome.variant_fields import DOUBLE, INT, TEXT, Field, TextColumn, render, render_qual

TYPES = ("NO_VARIATION", "SNP", "MNP", "INDEL", "SYMBOLIC", "MIXED")
"""Names of the types, by the numbers of `kernels.variant_filter_cpu`."""


def offsets(count) -> np.ndarray:
    """int64: where each of these counts begins, and the total."""
    out = np.zeros(len(count) + 1, np.int64)
    np.cumsum(count, out=out[1:])
    return out


def combined_filters(old: TextColumn | None, names: list[str], matched: np.ndarray) -> TextColumn:
    """FT texts: the filters that were there and new ones, sorted; length -1 where there are none. matched: bool[len(names), rows]."""
    rows = matched.shape[1]
    texts, code = [""], np.zeros(rows, np.int64)
    if old is not None:
        use = old.length >= 0
        found, which = jexl.distinct(use, old.data, old.start, old.length)
        texts += found
        code[use] = which + 1
    lists = [t.split(";") if t and t != "PASS" else [] for t in texts]
    for name, one in zip(names, matched):
        found, code = np.unique(code * 2 + one, return_inverse=True)
        lists = [lists[f >> 1] + ([name] if f & 1 else []) for f in found.tolist()]
    text, offset = text_values([";".join(sorted(some)) for some in lists])
    length = np.diff(offset)[code]
    return TextColumn(text, offset[:-1][code], np.where(length == 0, -1, length).astype(np.int32))


def _has_gt(records):
    """bool[n]: records whose first FORMAT key is GT."""
    column = records.column(8)
    data, at = records.data, column.start
    long = column.length >= 2
    at = np.where(long, at, 0)
    return long & (data[at] == ord("G")) & (data[at + 1] == ord("T")) & ((column.length == 2) | (data[at + 2] == ord(":")))


class Genotypes:
    """Genotypes of some samples, rows record x sample.

    chosen: int64, which sample columns, in their order. dropped: FORMAT keys that need not be declared. formats: values of declared keys.
    """

    def __init__(self, records: VariantRecords, chosen: np.ndarray, dropped=()):
        self.records, self.samples, self._chosen = records, len(chosen), chosen
        everything, self.other = self._read([*records.header.formats, *dropped])
        self.formats = everything = {key: column for key, column in everything.items() if key in records.header.formats}
        self._undeclared: dict[str, TextColumn] = {}
        n, threads = len(records) * self.samples, records.threads
        for key in ("AD", "PL"):
            if key in everything:
                column = everything[key]
                column.length = np.ascontiguousarray(column.length)
                run_chunks(kernel.int_lists, n, threads, column.data, column.start, column.length)
        self.ft = everything.get("FT")
        if self.ft is not None:
            self.ft = combined_filters(self.ft, [], np.zeros((0, n), bool))
        gt = everything.get("GT")
        if gt is None:
            self.allele, self.phased = np.full((n, 1), -2, np.int16), np.zeros(n, np.uint8)
        else:
            self.allele, self.phased = records.genotypes(gt) if n else (np.empty((0, 1), np.int16), np.empty(0, np.uint8))
            self.allele[(gt.length < 0) & np.repeat(_has_gt(records), self.samples), 0] = -1  # a haploid no-call is "."

    def _read(self, keys):
        """FORMAT values of the chosen samples by key, and where a key that is not among them begins in each record."""
        found, other = self.records.formats(dict.fromkeys(keys))
        if len(self._chosen) != self.records.samples or (self._chosen != np.arange(self.samples)).any():
            rows = (np.arange(len(self.records))[:, None] * self.records.samples + self._chosen).ravel()
            found = {k: TextColumn(c.data, c.start[rows], c.length[rows]) for k, c in found.items()}
        return found, other

    @cached_property
    def kind(self) -> np.ndarray:
        """uint8: the type of each genotype, see `kernels.variant_filter_cpu`."""
        out = np.empty(len(self.allele), np.uint8)
        run_chunks(kernel.genotype_types, len(out), self.records.threads, self.allele, out)
        return out

    @property
    def called(self) -> np.ndarray:
        return self.kind >= kernel.HOM_REF

    @property
    def ploidy(self) -> np.ndarray:
        return (self.allele != -2).sum(1)

    @cached_property
    def filtered(self) -> np.ndarray:
        """bool: genotypes whose FT names a filter."""
        return np.zeros(len(self.allele), bool) if self.ft is None else self.ft.length >= 0

    def text(self, key) -> TextColumn:
        """Values of a FORMAT key, declared or not; length -1 where absent."""
        if key in self.formats:
            return self.formats[key]
        if key not in self._undeclared:
            self._undeclared |= self._read([key])[0]
        return self._undeclared[key]

    def number(self, key) -> np.ndarray:
        """int64 of GQ (rounded) or DP, -1 where absent."""
        column = self.text(key)
        if key == "DP":
            return self.records.ints(key, column).astype(np.int64)
        values, offset, ok = self.records.decimals(column)
        if not ok.all():
            row = int(np.searchsorted(offset, np.argmin(ok), "right")) - 1
            raise self.records.problem(row // max(1, self.samples), f"{key} is not a number")
        out = np.full(len(column.start), -1, np.int64)
        present = np.diff(offset) > 0
        out[present] = np.floor(values[offset[:-1][present]] + 0.5)
        return out

    def type_counts(self) -> np.ndarray:
        """int32[n, 6]: genotypes of each type in each record."""
        out = np.empty((len(self.records), 6), np.int32)
        run_chunks(kernel.count_types, len(out), self.records.threads, self.samples, self.kind, out)
        return out

    def allele_counts(self, allele_offset) -> tuple[np.ndarray, np.ndarray]:
        """(int64 copies by allele_offset, REF first; int64[n] their sum) in genotypes without filters.

        Raises
        ------
        InputError: a genotype with an allele that its record does not list.
        """
        n = len(self.records)
        count, number = np.empty(int(allele_offset[-1]), np.int64), np.empty(n, np.int64)
        counted = (~self.filtered).astype(np.uint8)
        bad = run_chunks(kernel.count_alleles, n, self.records.threads, self.samples, self.allele, counted, allele_offset, count, number)
        bad = [b for b in bad if b >= 0]
        if bad:
            raise self.records.problem(min(bad), "GT has an allele that REF and ALT do not list")
        return count, number


class Sites:
    """Some records with what a tool has changed in them so far.

    chosen: int64, the sample columns that are left. overrides: INFO values that the tool has set and bool[n], the rows where they hold, by
    key; where the field has no value in such a row, the key is left out. previous: whether filters named in the file count. mask: name and
    bool[n], a filter that was added before expressions are looked at. dropped: INFO and FORMAT keys that will not be written and so need
    not be declared. start: int32[n], 0-based. allele_*: the alleles, REF first, texts in the records' `data`. decoded: bool[n], set where
    something has looked at genotypes: htsjdk then writes them anew.
    """

    def __init__(self, records: VariantRecords, chosen: np.ndarray | None = None, previous: bool = True, mask=None, dropped=((), ())):
        self.records, self.n = records, len(records)
        self.chosen = np.arange(records.samples) if chosen is None else chosen
        self.previous, self.mask, self._dropped = previous, mask, dropped
        self.overrides: dict[str, tuple[Field, np.ndarray]] = {}
        self.decoded = np.zeros(self.n, bool)
        self.start = records.start
        if records.header.lines[0] > "fileformat=VCFv4.2" and (records.data == ord("%")).any():
            raise InputError(records.header.path, "has percent-encoded text (of VCF 4.3), which is not supported here")
        self.allele_offset, self.allele_start, self.allele_length = records.alleles()

    def types(self, ignore_non_ref: bool = False) -> np.ndarray:
        """uint8[n], indices of TYPES."""
        out = np.empty(self.n, np.uint8)
        run_chunks(kernel.site_types, self.n, self.records.threads, self.records.data, self.allele_offset, self.allele_start,
                   self.allele_length, ignore_non_ref, out)  # fmt: skip
        return out

    @cached_property
    def type(self) -> np.ndarray:
        return self.types()

    @cached_property
    def _quals(self):
        values, offset, ok = self.records.decimals(self.records.column(5))
        if not ok.all():
            row = int(np.searchsorted(offset, np.argmin(ok), "right")) - 1
            raise self.records.problem(row, "QUAL is not a number")
        out = np.full(self.n, -1.0)
        out[np.diff(offset) > 0] = values
        return out / -10.0, out == -1.0

    @property
    def qual(self) -> np.ndarray:
        """float64[n]: QUAL as phred / -10; `* -10` is what is written. Without meaning where `no_qual`."""
        return self._quals[0]

    @property
    def no_qual(self) -> np.ndarray:
        """bool[n]: records without QUAL."""
        return self._quals[1]

    def override(self, values: Field, rows: np.ndarray) -> None:
        """Set an INFO key in records `rows` (bool[n]). Where it was set before, `values` must have those values too."""
        rows = rows | self.overrides[values.key][1] if values.key in self.overrides else rows
        self.overrides[values.key] = values, rows

    def round_qual(self) -> None:
        """QUAL as it reads after it was written once."""
        text = render_qual(self.qual * -10 + 0.0, self.records.threads)
        self._quals = self.records.decimals(text)[0] / -10.0, self.no_qual

    @cached_property
    def filters(self) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray]:
        """(distinct sets of filter names, int64[n] which of them, bool[n] whether filters were applied: the field is not '.')."""
        column = self.records.column(6)
        applied = column.length >= 0
        texts, which = jexl.distinct(applied, column.data, column.start, column.length)
        sets = [() if t == "PASS" else tuple(dict.fromkeys(x for x in t.split(";"))) for t in texts] + [()]
        index = np.full(self.n, len(sets) - 1)
        index[applied] = which
        if not self.previous:
            index[:], applied = len(sets) - 1, np.zeros(self.n, bool)
        return sets, index, applied

    def has_filter(self, name: str | None = None) -> np.ndarray:
        """bool[n]: records with this filter, or with any."""
        sets, index, _ = self.filters
        out = np.array([bool(s) if name is None else name in s for s in sets])[index]
        if self.mask is not None and name in (None, self.mask[0]):
            out |= self.mask[1]
        return out

    @cached_property
    def info(self) -> dict[str, TextColumn]:
        """INFO values read, of the keys that the header declares."""
        declared = self.records.header.info
        found, self.undeclared = self.records.info(dict.fromkeys([*declared, *self._dropped[0]]))
        return {key: column for key, column in found.items() if key in declared}

    @cached_property
    def genotypes(self) -> Genotypes:
        return Genotypes(self.records, self.chosen, self._dropped[1])

    def genotype_texts(self) -> Column:
        """Genotypes as the bases of their alleles, rows record x sample."""
        g, n, threads = self.genotypes, self.n, self.records.threads
        self.genotypes.allele_counts(self.allele_offset)  # refuses alleles that are not there
        longest = np.maximum.reduceat(self.allele_length, self.allele_offset[:-1]) if n else np.empty(0, np.int32)
        room = np.repeat((longest.astype(np.int64) + 1) * g.allele.shape[1] + 2, g.samples)
        start = np.cumsum(room) - room
        data, length = np.empty(int(room.sum()), np.uint8), np.empty(len(room), np.int64)
        run_chunks(kernel.genotype_texts, len(room), threads, g.samples, g.allele, g.phased, self.records.data, self.allele_offset,
                   self.allele_start, self.allele_length, data, start, length)  # fmt: skip
        return Column(np.full(len(room), jexl.TEXT, np.uint8), data=data, start=start, length=length)

    def info_value(self, key: str) -> Column:
        """An INFO key as htsjdk's VCFCodec gives it to expressions; MISSING where absent."""
        if key in self.records.header.info:
            column = self.info[key]
            flag = self.records.header.info[key][1] == "Flag"
        else:
            column, flag = self.records.info([key])[0][key], True
        kind = np.full(self.n, jexl.TEXT, np.uint8)
        kind[column.length < 0] = jexl.MISSING
        start, length, data = column.start, column.length.astype(np.int64), column.data
        bare = column.length == 0
        if bare.any() and flag:
            kind[bare] = jexl.BOOL
        elif bare.any():  # a key without a value reads as "."
            data = np.append(data, np.uint8(ord(".")))
            start, length = np.where(bare, len(data) - 1, start), np.where(bare, 1, length)
        several = np.diff(self.records.value_offset(column)) > 1
        kind[several] = jexl.LIST
        out = Column(kind, data=data, start=start, length=length)
        if flag:
            out.integer = np.ones(self.n, np.int64)
            if key in self.records.header.info:  # a flag of 0 is none
                zero = (length == 1) & (data[np.minimum(start, len(data) - 1)] == ord("0"))
                kind[zero] = jexl.MISSING
        if key in self.overrides:
            values, rows = self.overrides[key]
            out = jexl.choose(rows, _field_column(values, self.records.threads), out)
        return out


def _field_column(field: Field, threads) -> Column:
    """A computed INFO field as the objects that GATK sets: integers and doubles, lists where there are several."""
    text = render(field, threads)
    if field.kind == TEXT:
        return text_column(text, jexl.MISSING)
    count = np.diff(field.offset)
    n = len(count)
    one = jexl.INT if field.kind == INT else jexl.DOUBLE
    kind = np.where(count == 0, jexl.MISSING, np.where(count > 1, jexl.LIST, one)).astype(np.uint8)
    first = np.zeros(n, np.float64 if field.kind == DOUBLE else np.int64)
    first[count > 0] = field.values[field.offset[:-1][count > 0]]
    column = Column(kind, data=text.data, start=text.start, length=text.length.astype(np.int64),
                    element=np.full(n, one, np.uint8))  # fmt: skip
    if field.kind == INT:
        column.integer = first
    else:
        column.number = first
    return column


def text_column(column: TextColumn, absent: int) -> Column:
    """TEXT where there is a value, `absent` (a kind) elsewhere."""
    kind = np.where(column.length < 0, absent, jexl.TEXT).astype(np.uint8)
    return Column(kind, data=column.data, start=column.start, length=column.length.astype(np.int64))


def _int_list(column: TextColumn, absent: int) -> Column:
    """A list of integers."""
    kind = np.where(column.length < 0, absent, jexl.LIST).astype(np.uint8)
    element = np.full(len(kind), jexl.INT, np.uint8)
    return Column(kind, data=column.data, start=column.start, length=column.length.astype(np.int64), element=element)


def _doubles(values):
    return Column(np.full(len(values), jexl.DOUBLE, np.uint8), number=values)


def _one_or_nothing(values, present):
    out = integers(values)
    out.kind[~present] = jexl.MISSING
    return out


def _digits(condition) -> Column:
    """The texts "1" and "0", htsjdk's idea of true and false in expressions."""
    data = np.frombuffer(b"01", np.uint8)
    n = len(condition)
    return Column(np.full(n, jexl.TEXT, np.uint8), data=data, start=condition.astype(np.int64), length=np.ones(n, np.int64))


class SiteFields:
    """The variables of site expressions: rows are records."""

    def __init__(self, sites: Sites):
        self.sites, self.n = sites, sites.n

    def _mark(self, active):
        self.sites.decoded |= active

    def variable(self, name: str, active: np.ndarray) -> Column:
        """The value of a variable, MISSING where a record has none."""
        s = self.sites
        if name == "CHROM":
            return text_column(s.records.column(0), jexl.NULL)
        if name == "POS":
            return integers(s.start + 1)
        if name == "TYPE":
            data = np.frombuffer("".join(TYPES).encode(), np.uint8)
            length = np.array([len(t) for t in TYPES])
            start = np.cumsum(length) - length
            return Column(np.full(s.n, jexl.TEXT, np.uint8), data=data, start=start[s.type], length=length[s.type])
        if name == "QUAL":
            return _doubles(-10 * np.where(s.no_qual, 1.0, s.qual))
        if name == "N_ALLELES":
            return integers(np.diff(s.allele_offset))
        if name == "FILTER":
            return _digits(s.has_filter())
        if name in ("homRefCount", "hetCount", "homVarCount"):
            self._mark(active)
            which = {"homRefCount": kernel.HOM_REF, "hetCount": kernel.HET, "homVarCount": kernel.HOM_VAR}[name]
            return integers(s.genotypes.type_counts()[:, which])
        if name == "ALLELES":
            raise UserError("expressions: ALLELES is not supported")
        found = s.info_value(name)
        absent = found.kind == jexl.MISSING
        if absent.any():
            named = s.has_filter(name) & absent
            if named.any():
                return jexl.choose(named, jexl.constant(s.n, "1"), found)
        return found

    def method(self, on: str, calls: list, active: np.ndarray) -> Column:
        """The value of a chain of method calls on `vc`."""
        (name, arguments), *rest = calls
        if on == "vc" and name == "getGenotype" and len(arguments) == 1:
            names = [self.sites.records.header.samples[i] for i in self.sites.chosen]
            if arguments[0] not in names:
                raise UserError(f"expressions: vc.getGenotype('{arguments[0]}'): the records have no such sample")
            self._mark(active)
            rows = np.arange(self.n) * len(names) + names.index(arguments[0])
            if len(rest) == 1:
                found = genotype_method(self.sites, rows, *rest[0])
                if found is not None:
                    return found
        elif on == "vc" and not rest:
            found = self._site_method(name, arguments, active)
            if found is not None:
                return found
        raise UserError(f"expressions: {on}." + ".".join(f"{m}({', '.join(map(repr, a))})" for m, a in calls) + " is not supported")

    def _site_method(self, name, arguments, active):
        s = self.sites
        if len(arguments) in (1, 2) and name in ("hasAttribute", "getAttribute", "getAttributeAsString", "getAttributeAsInt",
                                                 "getAttributeAsDouble"):  # fmt: skip
            return _attribute(s.info_value(str(arguments[0])), name, *arguments[1:])
        if arguments:
            return None
        if name in ("isSNP", "isMNP", "isIndel", "isMixed", "isSymbolic"):
            return booleans(s.type == TYPES.index(name[2:].upper()))
        if name in ("isPolymorphicInSamples", "isMonomorphicInSamples"):
            self._mark(active & (np.diff(s.allele_offset) > 1))
            return booleans(polymorphic(s) == (name[2] == "P"))
        if name == "getCalledChrCount":
            self._mark(active)
            return integers(s.genotypes.allele_counts(s.allele_offset)[1])
        counted = {"getHomRefCount": kernel.HOM_REF, "getHetCount": kernel.HET, "getHomVarCount": kernel.HOM_VAR,
                   "getNoCallCount": kernel.NO_CALL, "getMixedCount": kernel.PARTLY_CALLED}  # fmt: skip
        if name in counted:
            self._mark(active)
            return integers(s.genotypes.type_counts()[:, counted[name]])
        simple = {
            "isVariant": lambda: booleans(np.diff(s.allele_offset) > 1),
            "isBiallelic": lambda: booleans(np.diff(s.allele_offset) == 2),
            "isFiltered": lambda: booleans(s.has_filter()),
            "isNotFiltered": lambda: booleans(~s.has_filter()),
            "hasID": lambda: booleans(s.records.column(2).length >= 0),
            "getNAlleles": lambda: integers(np.diff(s.allele_offset)),
            "getNSamples": lambda: jexl.constant(s.n, len(s.chosen)),
            "hasGenotypes": lambda: jexl.constant(s.n, len(s.chosen) > 0),
            "getStart": lambda: integers(s.start + 1),
            "getEnd": lambda: integers(s.records.end),
            "getContig": lambda: text_column(s.records.column(0), jexl.NULL),
            "getPhredScaledQual": lambda: _doubles(np.where(s.no_qual, 1.0, s.qual) * -10 + 0.0),
            "hasLog10PError": lambda: booleans(~s.no_qual),
        }  # fmt: skip
        return simple[name]() if name in simple else None


def _attribute(found, name, default=None):
    """VariantContext's accessors of attributes by what they return."""
    absent = found.kind == jexl.MISSING
    if name == "hasAttribute":
        return booleans(~absent)
    n = len(absent)
    if name in ("getAttributeAsInt", "getAttributeAsDouble"):
        whole = name.endswith("Int")
        one = (found.kind == jexl.TEXT) & (found.length == 1)
        if one.any():
            absent = absent | (one & (found.data[np.where(one, found.start, 0)] == ord(".")))
        use = ~absent & (found.kind != jexl.LIST) & (found.kind != jexl.BOOL)
        values, bad = jexl.numbers(found, use, whole)
        bad = np.where(~absent & ~use, jexl.FAILED, np.where(bad != 0, jexl.FAILED, 0)).astype(np.uint8)
        values = np.where(absent, default if default is not None else 0, values)
        out = integers(values) if whole else _doubles(values.astype(np.float64))
        out.kind[bad != 0] = bad[bad != 0]
        return out
    return jexl.choose(absent, jexl.constant(n, default), found)


def polymorphic(sites: Sites) -> np.ndarray:
    """bool[n]: records with an ALT and, where there are genotypes, a called allele other than REF."""
    variant = np.diff(sites.allele_offset) > 1
    if not len(sites.chosen):
        return variant
    count, number = sites.genotypes.allele_counts(sites.allele_offset)
    return variant & (count[sites.allele_offset[:-1]] != number)


_KINDS = {
    "isHet": (kernel.HET,), "isHom": (kernel.HOM_REF, kernel.HOM_VAR), "isHomRef": (kernel.HOM_REF,), "isHomVar": (kernel.HOM_VAR,),
    "isNoCall": (kernel.NO_CALL,), "isMixed": (kernel.PARTLY_CALLED,),
    "isCalled": (kernel.HOM_REF, kernel.HET, kernel.HOM_VAR, kernel.PARTLY_CALLED),
    "isAvailable": (kernel.NO_CALL, kernel.HOM_REF, kernel.HET, kernel.HOM_VAR, kernel.PARTLY_CALLED),
}  # fmt: skip
"""Types of genotypes of which each question is true."""


def genotype_method(sites: Sites, rows: np.ndarray, name: str, arguments) -> Column | None:
    """A method of genotypes `rows`; None for one that is not supported."""
    g = sites.genotypes
    if name == "getGenotypeString" and not arguments:
        text = sites.genotype_texts()
        return Column(text.kind[rows], data=text.data, start=text.start[rows], length=text.length[rows])
    if name in _KINDS and not arguments:
        return booleans(np.isin(g.kind[rows], _KINDS[name]))
    if name == "isHetNonRef" and not arguments:
        first = g.allele[rows][:, :2]
        return booleans((g.kind[rows] == kernel.HET) & (first > 0).all(1))
    if name == "isPhased" and not arguments:
        return booleans(g.phased[rows] > 0)
    if name == "isFiltered" and not arguments:
        return booleans(g.filtered[rows])
    if name == "getPloidy" and not arguments:
        return integers(g.ploidy[rows])
    if name in ("getGQ", "getDP") and not arguments:
        return integers(g.number(name[3:])[rows])
    if name in ("hasGQ", "hasDP") and not arguments:
        return booleans(g.number(name[3:])[rows] != -1)
    if name in ("hasAD", "hasPL", "getAD", "getPL") and not arguments:
        column = g.text(name[3:])
        column = TextColumn(column.data, column.start[rows], column.length[rows])
        return booleans(column.length >= 0) if name[0] == "h" else _int_list(column, jexl.NULL)
    own = len(arguments) == 1 and arguments[0] not in ("GT", "GQ", "AD", "PL", "DP", "FT", "GL")
    if own and name in ("hasExtendedAttribute", "hasAnyAttribute", "getExtendedAttribute", "getAnyAttribute"):
        column = g.text(arguments[0])
        column = TextColumn(column.data, column.start[rows], column.length[rows])
        return booleans(column.length >= 0) if name[0] == "h" else text_column(column, jexl.NULL)
    return None


class GenotypeFields:
    """The variables of genotype expressions: rows are record x sample."""

    def __init__(self, sites: Sites):
        self.site, self.genotypes = SiteFields(sites), sites.genotypes
        self.samples = len(sites.chosen)
        self.n = sites.n * self.samples

    def _site_active(self, active):
        return active.reshape(-1, self.samples).any(1)

    def _spread(self, column):
        again = {k: None if v is None or k == "data" else np.repeat(v, self.samples) for k, v in vars(column).items()}
        return Column(**{**again, "data": column.data})

    def variable(self, name: str, active: np.ndarray) -> Column:
        """The value of a variable: of the genotype, else of its record."""
        g = self.genotypes
        if name in _KINDS:
            return _digits(np.isin(g.kind, _KINDS[name]))
        if name == "isPassFT":
            return _digits(~g.filtered)
        if name == "FT":
            given = jexl.constant(self.n, "PASS")
            return given if g.ft is None else jexl.choose(g.filtered, text_column(g.ft, jexl.NULL), given)
        if name == "GQ":
            return integers(g.number("GQ"))
        if name == "GT":
            return self.site.sites.genotype_texts()
        if name == "DP":
            own = g.number("DP")
            own = _one_or_nothing(own, own != -1)
        elif name in ("AD", "PL"):
            own = _int_list(g.text(name), jexl.MISSING)
        elif name == "GL":
            own = None
        else:
            own = text_column(g.text(name), jexl.MISSING)
        if own is not None and not (own.kind == jexl.MISSING).any():
            return own
        named = g.filtered & False
        if g.ft is not None and g.filtered.any():  # htsjdk asks whether FT contains the text
            texts, which = jexl.distinct(g.filtered, g.ft.data, g.ft.start, g.ft.length)
            named[g.filtered] = np.array([name in t for t in texts])[which]
        site = self._spread(self.site.variable(name, self._site_active(active)))
        found = jexl.choose(named, jexl.constant(self.n, "1"), site) if named.any() else site
        return found if own is None else jexl.choose(own.kind != jexl.MISSING, own, found)

    def method(self, on: str, calls: list, active: np.ndarray) -> Column:
        """The value of a chain of method calls on `g` or `vc`."""
        if on == "g" and len(calls) == 1:
            found = genotype_method(self.site.sites, np.arange(self.n), *calls[0])
            if found is not None:
                return found
        return self._spread(self.site.method(on, calls, self._site_active(active)))


_SITE_NAMES = ("ALLELES", "CHROM", "FILTER", "N_ALLELES", "POS", "QUAL", "TYPE", "hetCount", "homRefCount", "homVarCount")
_GENOTYPE_NAMES = ("FT", "GQ", "GT", "isPassFT", *_KINDS)


def undeclared(expressions, header: VariantHeader, of_genotypes: bool = False) -> list[str]:
    """A message for each variable of site (or genotype) expressions that the header does not declare; GATK takes these for missing ones."""
    known = {*_SITE_NAMES, *header.info, *header.filters, *((*_GENOTYPE_NAMES, *header.formats) if of_genotypes else ())}
    return [f"expression '{e.text}': {name} is not in the header of {header.path}, so where a record lacks it, it counts as a missing value"
            for e in expressions for name in e.names() if name not in known]  # fmt: skip


__all__ = ["TYPES", "GenotypeFields", "Genotypes", "SiteFields", "Sites", "offsets", "polymorphic", "undeclared"]
