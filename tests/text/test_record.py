"""Records are to dataclasses what a twin is: equal, hashed, printed and replaced alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text.record import record


@dataclass(frozen=True, slots=True)
class Twin:
    a: int
    b: tuple[str, ...] = ()
    hidden: float = field(default=0.5, repr=False)


@record
class Record:
    a: int
    b: tuple[str, ...] = ()
    hidden: float = field(default=0.5, repr=False)


@record(kw_only=True)
class Named:
    a: int


@record
class Nothing:
    pass


VALUES = st.tuples(
    st.integers(0, 2), st.lists(st.sampled_from("ab"), max_size=2).map(tuple), st.sampled_from([0.5, 1.0])
)


@given(VALUES, VALUES)
def test_a_record_is_like_its_twin(
    one: tuple[int, tuple[str, ...], float], other: tuple[int, tuple[str, ...], float]
) -> None:
    assert (Record(*one) == Record(*other)) == (Twin(*one) == Twin(*other))
    assert len({Record(*one), Record(*other)}) == len({Twin(*one), Twin(*other)})
    assert repr(Record(*one)) == repr(Twin(*one)).replace("Twin", "Record")
    assert asdict(replace(Record(*one), a=7)) == asdict(replace(Twin(*one), a=7))


def test_of_another_class_is_another_one() -> None:
    others: list[object] = [Twin(1), (1, (), 0.5), Nothing()]
    assert Record(1) not in others
    assert Nothing() == Nothing()
    assert len({Nothing(), Nothing()}) == 1
    assert Named(a=1) == Named(a=1)
    assert not hasattr(Record(1), "__dict__")


@record
class Own:
    a: int

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "own"


def test_a_method_of_its_own_stays() -> None:
    assert Own(1) == Own(2)
    assert hash(Own(1)) == 7
    assert repr(Own(1)) == "own"
