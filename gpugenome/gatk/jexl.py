"""JEXL expressions as GATK's filters take them, evaluated over columns of records.

An expression is parsed once; each node then works on whole columns. A column's rows carry their Java type, because JEXL's operators choose
by it: INFO values are texts, QUAL a double, genotype numbers integers. What Java throws is a row's value here too and wins over whatever
it is combined with, in the order in which Java would have met it; so `&&` and `||` need no second path for their short circuit.
Source: Apache Commons JEXL 2.1.1 (grammar, JexlArithmetic), htsjdk JEXLMap and VariantJEXLContext.
"""

import re
from dataclasses import dataclass, is_dataclass

import numpy as np

from gpugenome.errors import UserError
from gpugenome.kernels import jexl_cpu as kernel

NULL, BOOL, INT, DOUBLE, TEXT, LIST = 0, 1, 2, 3, 4, 5
MISSING, FAILED, FATAL_NUMBER, FATAL_NULL, FATAL_TYPE, FATAL_UNSUPPORTED = 8, 9, 16, 17, 18, 19
"""Rows that throw. MISSING: an unknown variable. FAILED: another JexlException. FATAL_*: what ends GATK's run."""
_PROBLEM = {
    FAILED: "a value of a type that the operator does not take (a list, a flag or nothing)",
    FATAL_NUMBER: "a text that is not a number of the kind it is compared or computed with (write 2.0 instead of 2 for decimal fields)",
    FATAL_NULL: "'!' of nothing",
    FATAL_TYPE: "the result is not true or false",
    FATAL_UNSUPPORTED: "an operation on these values that gpugenome does not do (texts added, numbers beyond 63 bits, numbers as texts)",
}


@dataclass
class Column:
    """Values of n rows. kind: uint8[n]. integer: int64[n] of INT and BOOL. number: float64[n] of DOUBLE. data, start, length: texts of
    TEXT and LIST (comma-separated), see `kernels.jexl_cpu`. element: uint8[n], the kind of a list's elements (None: texts). Arrays of
    kinds that no row has may be None."""

    kind: np.ndarray
    integer: np.ndarray | None = None
    number: np.ndarray | None = None
    data: np.ndarray | None = None
    start: np.ndarray | None = None
    length: np.ndarray | None = None
    element: np.ndarray | None = None

    def __len__(self):
        return len(self.kind)


def _full(n, kind):
    return np.full(n, kind, np.uint8)


def constant(n: int, value) -> Column:
    """A column with the same value in every row: bool, int, float, str or None."""
    if value is None:
        return Column(_full(n, NULL))
    if isinstance(value, bool):
        return Column(_full(n, BOOL), integer=np.full(n, int(value), np.int64))
    if isinstance(value, int):
        return Column(_full(n, INT), integer=np.full(n, value, np.int64))
    if isinstance(value, float):
        return Column(_full(n, DOUBLE), number=np.full(n, value, np.float64))
    data = np.frombuffer(value.encode() or b"\0", np.uint8)
    return Column(_full(n, TEXT), data=data, start=np.zeros(n, np.int64), length=np.full(n, len(value.encode()), np.int64))


def booleans(values: np.ndarray) -> Column:
    """A BOOL column of a bool array."""
    return Column(_full(len(values), BOOL), integer=values.astype(np.int64))


def integers(values: np.ndarray) -> Column:
    """An INT column."""
    return Column(_full(len(values), INT), integer=values.astype(np.int64))


def java_double(text: str) -> float | None:
    """Double.parseDouble of a text, None where that throws."""
    text = text.strip()
    match = re.fullmatch(r"[+-]?(?:NaN|Infinity|(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fFdD]?)", text)
    return float(text.rstrip("fFdD") if text[-1:] in "fFdD" else text) if match else None


def distinct(use: np.ndarray, data, start, length) -> tuple[list[str], np.ndarray]:
    """(the different texts of the rows in `use`, for each row in `use` which of them)."""
    hashes = np.zeros(len(use), np.uint64)
    kernel.hash_texts(0, len(use), data, start, length, use, hashes)
    rows = np.flatnonzero(use)
    _, first, which = np.unique(hashes[rows], return_index=True, return_inverse=True)
    texts = [data[start[r] : start[r] + length[r]].tobytes().decode("utf-8", "replace") for r in rows[first].tolist()]
    return texts, which


def _read_texts(column, use, parse, of_text, out):
    """Parse the texts of rows `use` into `out`; returns kinds of rows that throw, 0 elsewhere."""
    n = len(use)
    bad = np.zeros(n, np.uint8)
    if not use.any():
        return bad
    status = np.zeros(n, np.uint8)
    parse(0, n, column.data, column.start, column.length, use, out, status)
    bad[use & (status == kernel.NOT_A_NUMBER)] = FATAL_NUMBER
    unusual = use & (status == kernel.UNUSUAL)
    if unusual.any():
        texts, which = distinct(unusual, column.data, column.start, column.length)
        values = [of_text(t) for t in texts]
        ok = np.array([v is not None for v in values])
        out[unusual] = np.array([v if v is not None else 0 for v in values], out.dtype)[which]
        bad[np.flatnonzero(unusual)[~ok[which]]] = FATAL_NUMBER
    return bad


def _java_long(text):
    if not re.fullmatch(r"[+-]?\d+", text):
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def _as_long(column, use):
    """(int64 values, kinds of rows that throw) of rows `use`."""
    kind = column.kind
    out = np.zeros(len(kind), np.int64)
    if column.integer is not None:
        whole = use & ((kind == INT) | (kind == BOOL))
        out[whole] = column.integer[whole]
    text = use & (kind == TEXT)
    if text.any():
        text &= column.length > 0  # an empty text is 0
    bad = _read_texts(column, text, kernel.parse_longs, _java_long, out)
    bad[use & ((kind == LIST) | (kind == NULL))] = FAILED
    return out, bad


def _as_double(column, use):
    """(float64 values, kinds of rows that throw) of rows `use`."""
    kind = column.kind
    out = np.zeros(len(kind), np.float64)
    if column.integer is not None:
        whole = use & ((kind == INT) | (kind == BOOL))
        out[whole] = column.integer[whole]
    if column.number is not None:
        real = use & (kind == DOUBLE)
        out[real] = column.number[real]
    text = use & (kind == TEXT)
    if text.any():
        empty = text & (column.length == 0)
        out[empty] = np.nan
        text &= ~empty
    bad = _read_texts(column, text, kernel.parse_doubles, java_double, out)
    bad[use & ((kind == LIST) | (kind == NULL))] = FAILED
    return out, bad


def numbers(column: Column, use: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows `use` as whole numbers (int64) or doubles, and the kinds of rows that throw."""
    return _as_long(column, use) if whole else _as_double(column, use)


def _as_bool(column, null_kind):
    """(bool values, kinds of rows that throw: errors of the column itself, and `null_kind` for nulls)."""
    kind, n = column.kind, len(column)
    out = np.zeros(n, bool)
    if column.integer is not None:
        whole = (kind == INT) | (kind == BOOL)
        out[whole] = column.integer[whole] != 0
    if column.number is not None:
        real = kind == DOUBLE
        out[real] = (column.number[real] != 0) & ~np.isnan(column.number[real])
    text = kind == TEXT
    if text.any():
        false = constant(n, "false")
        order = np.zeros(n, np.int8)
        kernel.compare_texts(0, n, column.data, column.start, column.length, false.data, false.start, false.length, text, order)
        out[text] = (column.length[text] > 0) & (order[text] != 0)
    bad = np.where(kind >= MISSING, kind, 0).astype(np.uint8)
    bad[kind == NULL] = null_kind
    return out, bad


def _as_text(column, use):
    """The texts of rows `use` (TEXT, LIST and BOOL): data, start, length."""
    kind, n = column.kind, len(column)
    words = np.frombuffer(b"truefalse", np.uint8)
    data, start, length = words, np.zeros(n, np.int64), np.zeros(n, np.int64)
    if column.integer is not None:
        flag = use & (kind == BOOL)
        false = column.integer[flag] == 0
        start[flag], length[flag] = np.where(false, 4, 0), np.where(false, 5, 4)
    text = use & (kind == TEXT)
    if text.any():
        data = np.concatenate([data, column.data])
        start[text], length[text] = column.start[text] + len(words), column.length[text]
    several = use & (kind == LIST)
    if several.any():
        room = np.where(several, 2 * column.length + 2, 0)
        at = np.cumsum(room) - room
        made, made_length = np.zeros(int(room.sum()), np.uint8), np.zeros(n, np.int64)
        kernel.list_texts(0, n, column.data, column.start, column.length, several, made, at, made_length)
        start[several], length[several] = at[several] + len(data), made_length[several]
        data = np.concatenate([data, made])
    return data, start, length


def _first_error(a, b):
    """Kinds of rows where evaluating a, then b, throws; 0 elsewhere."""
    return np.where(a.kind >= MISSING, a.kind, np.where(b.kind >= MISSING, b.kind, 0)).astype(np.uint8)


def _worse(bad, more):
    """Errors in the order in which they are met."""
    return np.where(bad, bad, more).astype(np.uint8)


def _result(values, bad):
    out = booleans(values)
    out.kind[bad != 0] = bad[bad != 0]
    return out


def _compare(op, a, b):
    n = len(a)
    bad = _first_error(a, b)
    left_null, right_null = a.kind == NULL, b.kind == NULL
    both, either = left_null & right_null, left_null | right_null
    values = np.zeros(n, bool)
    values[both] = op in ("==", "<=", ">=")
    todo = (bad == 0) & ~either
    order = np.zeros(n, np.int8)
    left_bool, right_bool = a.kind == BOOL, b.kind == BOOL
    if op in ("==", "!="):
        rows = todo & (left_bool | right_bool)
        order[rows] = (_as_bool(a, 0)[0] != _as_bool(b, 0)[0])[rows]
        todo &= ~rows
    rows = todo & ((a.kind == DOUBLE) | (b.kind == DOUBLE))
    if rows.any():
        x, bad_x = _as_double(a, rows)
        y, bad_y = _as_double(b, rows)
        bad = _worse(_worse(bad, bad_x), bad_y)
        nan_x, nan_y = np.isnan(x), np.isnan(y)
        with np.errstate(invalid="ignore"):
            found = np.where(nan_x, np.where(nan_y, 0, -1), np.where(nan_y, 1, np.sign(np.where(x < y, -1, x > y))))
        order[rows] = found[rows]
        todo &= ~rows
    rows = todo & ((a.kind == INT) | (b.kind == INT))
    if rows.any():
        x, bad_x = _as_long(a, rows)
        y, bad_y = _as_long(b, rows)
        bad = _worse(_worse(bad, bad_x), bad_y)
        order[rows] = np.where(x < y, -1, x > y)[rows]
        todo &= ~rows
    rows = todo & ((a.kind == TEXT) | (b.kind == TEXT))
    if rows.any():
        kernel.compare_texts(0, n, *_as_text(a, rows), *_as_text(b, rows), rows, order)
        todo &= ~rows
    if todo.any():  # lists and flags
        rows = todo & (a.kind == LIST) & (b.kind == LIST)
        if op in ("==", "!="):
            kernel.compare_texts(0, n, *_as_text(a, rows), *_as_text(b, rows), rows, order)
            order[rows & (_elements(a) != _elements(b))] = 1
        else:
            bad[rows] = FAILED
        flags = todo & left_bool & right_bool
        if flags.any():
            order[flags] = np.sign(a.integer - b.integer)[flags]
        bad[todo & ~rows & ~flags] = FATAL_TYPE
    compared = (bad == 0) & ~either
    holds = {"==": order == 0, "!=": order != 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[op]
    values[compared] = holds[compared]
    if op == "!=":
        values[either & ~both] = True
    return _result(values, bad)


def _elements(column):
    """Kinds of the elements of lists."""
    if column.element is None:
        return np.full(len(column), TEXT)
    return np.where(column.element == 0, TEXT, column.element)


def _looks_floating(column, use):
    out = column.kind == DOUBLE
    text = use & (column.kind == TEXT)
    if text.any():
        found = np.zeros(len(out), np.uint8)
        kernel.looks_floating(0, len(out), column.data, column.start, column.length, text, found)
        out = out | (text & (found != 0))
    return out


def _arithmetic(op, a, b):
    n = len(a)
    bad = _first_error(a, b)
    bad[(bad == 0) & ((a.kind == NULL) | (b.kind == NULL))] = FAILED
    todo = bad == 0
    out = Column(_full(n, INT), np.zeros(n, np.int64), np.zeros(n, np.float64))
    real = todo & (_looks_floating(a, todo) | _looks_floating(b, todo))
    whole = todo & ~real
    if real.any():
        x, bad_x = _as_double(a, real)
        y, bad_y = _as_double(b, real)
        bad = _worse(_worse(bad, bad_x), bad_y)
        if op in "/%":
            bad[real & (bad == 0) & (y == 0.0)] = FAILED
        with np.errstate(all="ignore"):
            found = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod}[op](x, y)
        out.number[real] = found[real]
        out.kind[real] = DOUBLE
    if whole.any():
        x, bad_x = _as_long(a, whole)
        y, bad_y = _as_long(b, whole)
        bad_x[whole & (a.kind == BOOL)] = FAILED
        bad_y[whole & (b.kind == BOOL)] = FAILED
        bad = _worse(_worse(bad, bad_x), bad_y)
        if op in "/%":
            bad[whole & (bad == 0) & ((y == 0) | ((op == "%") & (y < 0)))] = FAILED
            y = np.where(y == 0, 1, y)
        with np.errstate(all="ignore"):
            rough = {"+": np.add, "-": np.subtract, "*": np.multiply}.get(op, np.divide)(x.astype(np.float64), y.astype(np.float64))
            if op == "/":
                found = np.where((x < 0) != (y < 0), -(np.abs(x) // np.abs(y)), np.abs(x) // np.abs(y))
            else:
                found = {"+": np.add, "-": np.subtract, "*": np.multiply, "%": np.mod}[op](x, y)
        bad[whole & (bad == 0) & (np.abs(rough) > 2.0**62)] = FATAL_UNSUPPORTED
        out.integer[whole] = found[whole]
    if op == "+":  # Java joins texts that are no numbers
        bad[bad == FATAL_NUMBER] = FATAL_UNSUPPORTED
    out.kind[bad != 0] = bad[bad != 0]
    return out


def _matches(column, pattern, negate):
    kind, n = column.kind, len(column)
    bad = np.where(kind >= MISSING, kind, 0).astype(np.uint8)
    bad[kind == DOUBLE] = FATAL_UNSUPPORTED
    values = np.zeros(n, bool)
    words = np.isin(kind, (TEXT, LIST, BOOL))
    if words.any():
        texts, which = distinct(words, *_as_text(column, words))
        values[words] = np.array([pattern.fullmatch(t) is not None for t in texts])[which]
    whole = kind == INT
    if whole.any():
        numbers, which = np.unique(column.integer[whole], return_inverse=True)
        values[whole] = np.array([pattern.fullmatch(str(v)) is not None for v in numbers.tolist()])[which]
    return _result(values != negate, bad)


def item(column: Column, index: int) -> Column:
    """`column.index`: an element of a list. Other values have none (null); a list that is too short throws."""
    kind, n = column.kind, len(column)
    out = Column(np.where(kind >= MISSING, kind, NULL).astype(np.uint8))
    several = kind == LIST
    if several.any():
        start, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
        kernel.list_item(0, n, column.data, column.start, column.length, several, index, start, length)
        out.data, out.start, out.length = column.data, start, length
        out.kind[several] = np.where(length[several] < 0, FAILED, TEXT)
        if column.element is not None:
            out.kind[several & (length >= 0) & (column.element == DOUBLE)] = FATAL_UNSUPPORTED  # the texts are rounded
            chosen = several & (length >= 0) & (column.element == INT)
            values = np.zeros(n, np.int64)
            kernel.parse_longs(0, n, column.data, start, length, chosen, values, np.zeros(n, np.uint8))
            out.integer = values
            out.kind[chosen] = INT
    return out


class Syntax(ValueError):
    """What an expression lacks, with the place."""


_TOKEN = re.compile(
    r"""(?P<skip>(?:\s|\#\#[^\n]*|//[^\n]*|/\*.*?\*/)+)
    |(?P<real>\d+\.\d+(?:[eE][+-]?\d+)?[dDfFbB]?)
    |(?P<whole>0[xX][0-9a-fA-F]+[lLhH]?|(?:0[0-7]*|[1-9]\d*)[lLhH]?)
    |(?P<text>"(?:[^"\\\n\r]|\\[^\n\r])*"|'(?:[^'\\\n\r]|\\[^\n\r])*')
    |(?P<name>[A-Za-z_$@][A-Za-z_$@0-9]*)
    |(?P<op>&&|\|\||==|!=|=~|!~|<=|>=|\?:|[<>=%/!+\-*~&|^?:(){}\[\];,.])""",
    re.S | re.X,
)
_WORDS = {"and": "&&", "or": "||", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "not": "!", "div": "/", "mod": "%"}
_RESERVED = ("if", "else", "for", "foreach", "while", "new", "var", "empty", "size", "return")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.S)


def _tokens(text):
    """(kind, text, place) of every token; kinds: op, name, whole, real, text, end."""
    out, at = [], 0
    while at < len(text):
        m = _TOKEN.match(text, at)
        if not m:
            raise Syntax(f"{text[at]!r} at character {at + 1} begins no word, number or operator")
        kind, word = m.lastgroup, m.group()
        if kind == "name" and word in _WORDS:
            kind, word = "op", _WORDS[word]
        if kind != "skip":
            out.append((kind, word, at))
        at = m.end()
    out.append(("end", "", len(text)))
    return out


def _unquote(token):
    quote = token[0]

    def escaped(m):
        c = m.group(1)
        if c[0] == "u" and len(c) == 5:
            return chr(int(c[1:], 16))
        return c if c in (quote, "\\") else "\\" + c

    return _ESCAPE.sub(escaped, token[1:-1])


def _whole_number(token):
    digits = token.rstrip("lLhH")
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10)


def _real_number(token):
    """A literal with a point is a Java float unless it ends in d; it enters comparisons through its shortest decimal text."""
    if token[-1] in "dD":
        return float(token[:-1])
    if token[-1] in "bB":
        raise Syntax(f"{token}: numbers of type BigDecimal are not supported")
    with np.errstate(over="ignore"):
        return float(str(np.float32(token.rstrip("fF"))))


@dataclass
class Literal:
    value: object

    def evaluate(self, fields, active):
        return constant(fields.n, self.value)


@dataclass
class Name:
    """A variable, its name joined by points as JEXL looks it up. optional: unknown is null (an operand of `?:`)."""

    name: str
    optional: bool = False

    def evaluate(self, fields, active):
        column = fields.variable(self.name, active)
        if self.optional and (column.kind == MISSING).any():
            kind = np.where(column.kind == MISSING, NULL, column.kind).astype(np.uint8)
            return Column(kind, column.integer, column.number, column.data, column.start, column.length)
        return column


@dataclass
class Item:
    """An element of a list."""

    of: object
    index: int

    def evaluate(self, fields, active):
        return item(self.of.evaluate(fields, active), self.index)


@dataclass
class Call:
    """A chain of method calls on `vc` or `g`: [(name, constant arguments), ...]."""

    on: str
    calls: list

    def evaluate(self, fields, active):
        return fields.method(self.on, self.calls, active)


@dataclass
class Unary:
    op: str
    of: object

    def evaluate(self, fields, active):
        column = self.of.evaluate(fields, active)
        if self.op == "!":
            values, bad = _as_bool(column, FATAL_NULL)
            return _result(~values, bad)
        kind = np.where(np.isin(column.kind, (TEXT, LIST, NULL)), FAILED, column.kind).astype(np.uint8)
        whole = column.integer
        if whole is not None:
            whole = np.where(kind == BOOL, 1 - whole, -whole)
        return Column(kind, whole, None if column.number is None else -column.number)


@dataclass
class Binary:
    op: str
    left: object
    right: object

    def evaluate(self, fields, active):
        a = self.left.evaluate(fields, active)
        if self.op in ("&&", "||"):
            left, bad = _as_bool(a, FAILED)
            decided = (left == (self.op == "||")) | (bad != 0)
            right, bad_right = _as_bool(self.right.evaluate(fields, active & ~decided), FAILED)
            return _result(np.where(decided, left, right), np.where(decided, bad, bad_right))
        b = self.right.evaluate(fields, active & (a.kind < MISSING))
        return _compare(self.op, a, b) if self.op in ("==", "!=", "<", ">", "<=", ">=") else _arithmetic(self.op, a, b)


@dataclass
class Match:
    of: object
    pattern: re.Pattern
    negate: bool

    def evaluate(self, fields, active):
        return _matches(self.of.evaluate(fields, active), self.pattern, self.negate)


@dataclass
class Ternary:
    """condition ? yes : no; without `yes` the condition itself."""

    condition: object
    yes: object
    no: object

    def evaluate(self, fields, active):
        condition = self.condition.evaluate(fields, active)
        holds, bad = _as_bool(condition, 0)
        yes = condition if self.yes is None else self.yes.evaluate(fields, active & holds & (bad == 0))
        no = self.no.evaluate(fields, active & ~holds & (bad == 0))
        out = choose(holds, yes, no)
        out.kind[bad != 0] = bad[bad != 0]
        return out


def choose(holds: np.ndarray, yes: Column, no: Column) -> Column:
    """Rows of `yes` where `holds`, of `no` elsewhere."""
    kind = np.where(holds, yes.kind, no.kind).astype(np.uint8)
    out = Column(kind)
    for name, empty in (("integer", np.int64), ("number", np.float64), ("start", np.int64), ("length", np.int64), ("element", np.uint8)):
        a, b = getattr(yes, name), getattr(no, name)
        if a is not None or b is not None:
            zero = np.zeros(len(kind), empty)
            setattr(out, name, np.where(holds, zero if a is None else a, zero if b is None else b))
    if out.start is not None:
        first = np.empty(0, np.uint8) if yes.data is None else yes.data
        out.data = first if no.data is None else np.concatenate([first, no.data])
        out.start = out.start + np.where(holds, 0, len(first))
    return out


class _Parser:
    """Recursive descent over JEXL's grammar, as far as conditions need it."""

    def __init__(self, text):
        self.tokens, self.at = _tokens(text), 0

    def peek(self):
        return self.tokens[self.at]

    def is_op(self, *ops):
        kind, word, _ = self.peek()
        return kind == "op" and word in ops

    def take(self):
        token = self.peek()
        self.at += 1
        return token

    def expect(self, op):
        if not self.is_op(op):
            self.unexpected(f"expected '{op}'")
        self.take()

    def unexpected(self, expected):
        kind, word, at = self.peek()
        raise Syntax(f"{expected}, found {'its end' if kind == 'end' else repr(word)} at character {at + 1}")

    def whole(self):
        node = self.conditional()
        if self.is_op("="):
            raise Syntax(f"'=' at character {self.peek()[2] + 1} assigns; '==' compares")
        if self.peek()[0] != "end":
            self.unexpected("expected an operator or the end of the expression")
        return node

    def conditional(self):
        node = self.chain(("||",), lambda: self.chain(("&&",), self.bits))
        if self.is_op("?:"):
            self.take()
            return Ternary(_optional(node), None, _optional(self.conditional()))
        if self.is_op("?"):
            self.take()
            yes = self.conditional()
            self.expect(":")
            return Ternary(_optional(node), _optional(yes), _optional(self.conditional()))
        return node

    def chain(self, ops, operand):
        node = operand()
        while self.is_op(*ops):
            op = self.take()[1]
            node = Binary(op, node, operand())
        return node

    def bits(self):
        node = self.once(("==", "!="), lambda: self.once(("<", ">", "<=", ">=", "=~", "!~"), self.sum))
        if self.is_op("&", "|", "^"):
            raise Syntax(f"{self.peek()[1]!r} at character {self.peek()[2] + 1}: operations on bits are not supported ('&&' and '||'?)")
        return node

    def once(self, ops, operand):
        node = operand()
        if not self.is_op(*ops):
            return node
        op = self.take()[1]
        right = operand()
        if op not in ("=~", "!~"):
            return Binary(op, node, right)
        if not isinstance(right, Literal) or not isinstance(right.value, str):
            raise Syntax(f"after '{op}' only a text in quotes is supported")
        try:
            return Match(node, re.compile(right.value), op == "!~")
        except re.error as e:
            raise Syntax(f"{right.value!r} is not a regular expression: {e}") from None

    def sum(self):
        return self.chain(("+", "-"), lambda: self.chain(("*", "/", "%"), self.unary))

    def unary(self):
        if self.is_op("!", "-"):
            op = self.take()[1]
            return Unary(op, self.unary())
        if self.is_op("~"):
            raise Syntax(f"'~' at character {self.peek()[2] + 1}: operations on bits are not supported")
        return self.primary()

    def primary(self):
        kind, word, at = self.peek()
        if kind == "op" and word == "(":
            self.take()
            node = self.conditional()
            self.expect(")")
            if self.is_op("[", "."):
                raise Syntax(f"{self.peek()[1]!r} at character {self.peek()[2] + 1}: access to parts of an expression is not supported")
            return node
        if kind in ("whole", "real", "text"):
            self.take()
            return Literal({"whole": _whole_number, "real": _real_number, "text": _unquote}[kind](word))
        if kind != "name":
            self.unexpected("expected a value")
        self.take()
        if word in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[word])
        if word in _RESERVED:
            raise Syntax(f"{word!r} at character {at + 1} is not supported")
        return self.reference(word, at)

    def reference(self, name, at):
        if self.is_op("("):
            raise Syntax(f"{name}(...) at character {at + 1}: only methods of vc and g can be called")
        calls, node = [], None
        while self.is_op(".", "["):
            bracket = self.take()[1] == "["
            kind, word, place = self.take()
            if kind == "whole":
                of = node or (Call(name, calls) if calls else Name(name))
                node = Item(of, _whole_number(word))
            elif bracket or kind not in ("name", "op") or (kind == "op" and not word.isalpha()):
                raise Syntax(f"{word!r} at character {place + 1}: expected the number of an element")
            elif node is None and self.is_op("("):
                calls.append((word, self.arguments()))
            elif node is None and not calls and not self.is_op("("):
                name = f"{name}.{word}"
            else:
                raise Syntax(f".{word} at character {place + 1} is not supported")
            if bracket:
                self.expect("]")
        if calls and name not in ("vc", "g"):
            raise Syntax(f"{name}.{calls[0][0]}(...) at character {at + 1}: only methods of vc and g can be called")
        if node is None:
            node = Call(name, calls) if calls else Name(name)
        if node == Name("vc") or node == Name("g"):
            raise Syntax(f"{name} at character {at + 1}: expected a method call such as vc.isSNP()")
        return node

    def arguments(self):
        self.expect("(")
        out = []
        while not self.is_op(")"):
            node = self.conditional()
            if isinstance(node, Unary) and node.op == "-" and isinstance(node.of, Literal):
                node = Literal(-node.of.value)
            if not isinstance(node, Literal):
                raise Syntax("arguments of methods must be constants")
            out.append(node.value)
            if not self.is_op(")"):
                self.expect(",")
        self.take()
        return tuple(out)


def _optional(node):
    return Name(node.name, True) if isinstance(node, Name) else node


def _names(node):
    """The names of the variables of a node and what it is made of, from left to right."""
    if isinstance(node, Name):
        yield node.name
    for value in vars(node).values() if is_dataclass(node) else node if isinstance(node, (list, tuple)) else ():
        yield from _names(value)


@dataclass
class Expression:
    """A parsed expression: its text, and the node that evaluates to it."""

    text: str
    root: object

    def names(self) -> list[str]:
        """The variables that it asks for, each once."""
        return list(dict.fromkeys(_names(self.root)))

    def match(self, fields, active: np.ndarray, silent: bool, missing: bool = False, where=str) -> np.ndarray:
        """bool[n]: which rows match. Rows that are not `active` are not looked at.

        fields: `n`, `variable(name, active)` and `method(on, calls, active)`, both giving a Column. silent: errors of evaluation count as
        missing values, as VariantFiltration has it. missing: what a missing value counts as. where: names a row for messages.

        Raises
        ------
        UserError: a row on which GATK stops.
        """
        column = self.root.evaluate(fields, active)
        values, _ = _as_bool(column, 0)
        kind = column.kind
        unknown = (kind == MISSING) | (kind == NULL)
        if silent:
            unknown |= kind == FAILED
        fatal = active & ~unknown & (kind != BOOL)
        if fatal.any():
            row = int(np.argmax(fatal))
            problem = _PROBLEM.get(int(kind[row]), _PROBLEM[FATAL_TYPE])
            raise UserError(f"expression '{self.text}': {where(row)}: {problem}")
        return np.where(unknown, missing, values) & active


def parse(text: str) -> Expression:
    """Parse an expression.

    Raises
    ------
    UserError: a syntax error, or a part of the language that is not supported, with the place.
    """
    text = text.strip(" ")
    if not text:
        raise UserError("an expression is empty")
    try:
        root = _Parser(text).whole()
    except Syntax as e:
        raise UserError(f"expression '{text}': {e}") from None
    return Expression(text, root)
