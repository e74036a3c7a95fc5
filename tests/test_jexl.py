"""JEXL expressions: parsing, types and errors as Apache Commons JEXL 2.1.1 and htsjdk have them."""

import numpy as np
import pytest

from gpugenome.errors import UserError
from gpugenome.gatk import jexl
from gpugenome.gatk.jexl import Column, constant, parse


class Fields:
    """Four rows with a text of a decimal, of a whole number, a word, a list and a flag that are missing in the last row."""

    n = 4
    texts = {"F": ("1.5", "2.0", "-3.25", None), "I": ("1", "20", "-3", None), "W": ("abc", "true", "1e3", None),
             "L": ("1,2", "3,4,5", "7", None), "BIG": ("0.1234567890123456789", "NaN", "1e400", None)}  # fmt: skip

    def variable(self, name, active):
        if name == "QUAL":
            return Column(np.full(4, jexl.DOUBLE, np.uint8), number=np.array([10.0, 20.0, 30.0, 40.0]))
        if name == "FLAG":
            return Column(np.array([jexl.BOOL, jexl.BOOL, jexl.BOOL, jexl.MISSING], np.uint8), integer=np.ones(4, np.int64))
        if name not in self.texts:
            return Column(np.full(4, jexl.MISSING, np.uint8))
        values = self.texts[name]
        data = np.frombuffer("".join(v or "" for v in values).encode(), np.uint8)
        length = np.array([len(v or "") for v in values])
        kind = [jexl.MISSING if v is None else jexl.LIST if "," in v else jexl.TEXT for v in values]
        return Column(np.array(kind, np.uint8), data=data, start=np.cumsum(length) - length, length=length)

    def method(self, on, calls, active):
        assert (on, calls) == ("vc", [("isSNP", ())])
        return jexl.booleans(np.array([True, False, True, False]))


def match(text, silent=True, missing=False):
    return parse(text).match(Fields(), np.ones(4, bool), silent, missing).astype(int).tolist()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("F < 1.75", [1, 0, 1, 0]),
        ("1.75 gt F", [1, 0, 1, 0]),
        ("I < 5", [1, 0, 1, 0]),
        ("I == '20'", [0, 1, 0, 0]),
        ("I < '3'", [1, 1, 1, 0]),  # texts: "1", "20", "-3" before "3"
        ("QUAL >= 20", [0, 1, 1, 1]),
        ("QUAL >= 20.5d && QUAL != 40", [0, 0, 1, 0]),
        ("F < 1.50000001", [0, 0, 1, 0]),  # a float: its shortest text is 1.5
        ("F < 1.50000001d", [1, 0, 1, 0]),
        ("W == 'abc' || QUAL > 35", [1, 0, 0, 0]),  # row 3: W is missing, which comes first
        ("QUAL > 35 || W == 'abc'", [1, 0, 0, 1]),
        ("QUAL > 35 and W == 'abc'", [0, 0, 0, 0]),
        ("FLAG", [1, 1, 1, 0]),
        ("not FLAG", [0, 0, 0, 0]),
        ("FLAG == true", [1, 1, 1, 0]),
        ("W == true", [1, 1, 1, 0]),
        ("L == 7", [0, 0, 1, 0]),  # lists do not compare with numbers
        ("L.1 == 2 || L.1 == 4", [1, 1, 0, 0]),
        ("L[0] > 2", [0, 1, 0, 0]),
        ("L == L", [1, 1, 1, 0]),
        ("L =~ '.*, 4.*'", [0, 1, 0, 0]),  # a list's text has blanks
        ("W =~ 'a.c'", [1, 0, 0, 0]),
        ("W !~ 'a'", [1, 1, 1, 0]),
        ("I + 1 == 21", [0, 1, 0, 0]),
        ("I / 2 == 0", [1, 0, 0, 0]),
        ("-7 / 2 == -3", [1, 1, 1, 1]),
        ("-7 % 3 == 2", [1, 1, 1, 1]),
        ("F * I > 39.0", [0, 1, 0, 0]),
        ("I / 0 > 1 || true", [0, 0, 0, 0]),
        ("-F < 0.0", [0, 0, 0, 0]),  # texts cannot be negated
        ("vc.isSNP() ? QUAL < 20 : QUAL > 30", [1, 0, 0, 1]),
        ("(F ?: 9.0) > 8.0", [0, 0, 0, 1]),
        ("(F ? 1 : 2) == 2", [0, 0, 0, 1]),
        ("F <= null", [0, 0, 0, 0]),
        ("null == null && null <= null", [1, 1, 1, 1]),
        ("BIG < 0.2", [1, 1, 0, 0]),  # NaN sorts before numbers
        ("BIG >= 0.1234567890123456789d", [1, 0, 1, 0]),
        ("010 == 8 && 0x1F == 31", [1, 1, 1, 1]),
        ("QUAL > 5 // a remark", [1, 1, 1, 1]),
        ("W == \"a\\u0062c\" || false", [1, 0, 0, 0]),
        ("NOPE > 1", [0, 0, 0, 0]),
    ],
)
def test_values(text, expected):
    assert match(text) == expected


def test_missing_values_can_count_as_matches():
    assert match("F < 1.75", missing=True) == [1, 0, 1, 1]
    assert match("L > 5", missing=True) == [1, 1, 1, 1]


@pytest.mark.parametrize("text, row", [("F < 2", 0), ("W > 1", 0), ("F", 0), ("I + 1", 0), ("!null", 0), ("W * 2 > 1", 0)])
def test_what_ends_the_run(text, row):
    with pytest.raises(UserError, match=f"{row}"):
        match(text)


def test_selections_stop_at_type_errors_but_not_at_missing_values():
    assert match("NOPE > 1", silent=False) == [0, 0, 0, 0]
    with pytest.raises(UserError, match="a list, a flag or nothing"):
        match("L > 5", silent=False)


def test_rows_that_are_not_asked_for_raise_nothing():
    active = np.array([False, False, True, False])
    assert parse("L > 5").match(Fields(), active, False).tolist() == active.tolist()


@pytest.mark.parametrize(
    "text, problem",
    [
        ("QD <", "found its end at character 5"),
        ("QD < 2.0 )", "found ')' at character 10"),
        ("QD < .5", "expected a value"),
        ("QD = 2.0", "'==' compares"),
        ("QD < 2.0 & FS > 1.0", "'&&'"),
        ("a < b < c", "expected an operator"),
        ("QD # 1", "begins no word"),
        ("size(QD) > 1", "not supported"),
        ("foo(1)", "only methods of vc and g"),
        ("W =~ I", "text in quotes"),
        ("W =~ '('", "not a regular expression"),
        ("vc.getGenotype(QD).isHet()", "constants"),
        ("vc", "method call"),
        ("", "empty"),
        ("'open", "begins no word"),
        ("QD < 2,0", "found ','"),
    ],
)
def test_syntax_errors_name_the_place(text, problem):
    with pytest.raises(UserError) as e:
        parse(text)
    assert problem in str(e.value) and "\n" not in str(e.value)


def test_constants_have_their_types():
    kinds = [constant(1, v).kind[0] for v in (None, True, 1, 1.0, "x")]
    assert kinds == [jexl.NULL, jexl.BOOL, jexl.INT, jexl.DOUBLE, jexl.TEXT]
