"""Which regular expressions can take more time than in proportion to a text, by their parts alone: nothing is timed.

A pattern becomes an automaton with one state for each of its characters. Python's `re` tries one way through it after
the other. That takes long where a text that fits in the end nowhere has many ways:

- one state is left and reached again in two ways by the same text (`(a+)+b`): the ways double with each repetition;
- the same text leads from a state to itself, from there to another one, and from that to itself (`a*a*b`, and, since a
  search begins anywhere, also `a+b`): the time grows with the square of the text's length, or faster.

Where the pattern has been fulfilled already, nothing fails any more, and such states do not count. Conditions without
width (`\\b`, lookaheads) are taken for fulfilled, so what is reported may be harmless, and nothing is missed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

try:  # Python 3.11 and newer
    from re import _constants as c
    from re import _parser as parser
except ImportError:
    import sre_constants as c  # type: ignore[no-redef]
    import sre_parse as parser  # type: ignore[no-redef]

# Every class of characters that Python knows has some of these.
ALPHABET = frozenset([*map(chr, range(256)), *"\u2028\u2029│├▶ſK٣ Ж漢", "\ufffe", "\ud800"])
_WORD = frozenset(each for each in ALPHABET if re.match(r"\w", each))
# How often a part is written out that is repeated a limited number of times.
_COPIES = 2
# From here on a limit is none.
_MANY = 300
_ONE = (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN)
_REPEATS = {c.MAX_REPEAT, c.MIN_REPEAT, getattr(c, "POSSESSIVE_REPEAT", c.MAX_REPEAT)}


@dataclass(frozen=True)
class _Piece:
    """A part of a pattern: states that it begins and ends with.

    Attributes:
        empty: whether it can be passed without a character.
        done: whether it can be passed without a character and without a condition.
        first, last: states; twice where there are two ways.
        final: those after which nothing more is asked for.
    """

    empty: bool = True
    done: bool = True
    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    final: frozenset[int] = frozenset()


@dataclass
class Automaton:
    """The states of a pattern.

    Attributes:
        takes: the characters that lead into a state.
        ways: how many ways lead from one state to the next; two are as bad as many.
        final: states in which the pattern is fulfilled.
    """

    takes: list[frozenset[str]] = field(default_factory=list)
    ways: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    final: frozenset[int] = frozenset()

    def add(self, characters: Iterable[str]) -> int:
        self.takes.append(frozenset(characters))
        return len(self.takes) - 1

    def join(self, ends: Iterable[int], begins: Iterable[int]) -> None:
        begins = tuple(begins)
        for end in ends:
            for begin in begins:
                self.ways[end, begin] += 1

    def next(self, state: int) -> list[int]:
        return self._next[state]

    def close(self) -> None:
        """Ends the making of it."""
        self._next: dict[int, list[int]] = defaultdict(list)
        for one, other in self.ways:
            self._next[one].append(other)


class _Maker:
    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.automaton = Automaton()

    def sequence(self, tree: Any) -> _Piece:
        whole = _Piece()
        for kind, value in tree:
            whole = self._after(whole, self._part(kind, value))
        return whole

    def _after(self, one: _Piece, other: _Piece) -> _Piece:
        self.automaton.join(one.last, other.first)
        return _Piece(
            one.empty and other.empty,
            one.done and other.done,
            one.first + (other.first if one.empty else ()),
            other.last + (one.last if other.empty else ()),
            other.final | (one.final if other.done else frozenset()),
        )

    def _part(self, kind: Any, value: Any) -> _Piece:
        if kind in _ONE:
            return self._state(self._characters(kind, value))
        if kind is c.GROUPREF:
            # Whatever was there: one character for all.
            return self._state(ALPHABET)
        if kind is c.SUBPATTERN:
            return self.sequence(value[3])
        if kind is getattr(c, "ATOMIC_GROUP", None):
            return self.sequence(value)
        if kind is c.BRANCH:
            parts = [self.sequence(branch) for branch in value[1]]
            return _Piece(
                any(part.empty for part in parts),
                any(part.done for part in parts),
                sum((part.first for part in parts), ()),
                sum((part.last for part in parts), ()),
                frozenset().union(*(part.final for part in parts)),
            )
        if kind in _REPEATS:
            return self._repeat(*value)
        if kind in (c.AT, c.ASSERT, c.ASSERT_NOT):
            return _Piece(done=False)
        raise AssertionError(f"the check does not know {kind}")

    def _state(self, characters: Iterable[str]) -> _Piece:
        state = self.automaton.add(characters)
        return _Piece(False, False, (state,), (state,), frozenset({state}))

    def _repeat(self, least: int, most: Any, inner: Any) -> _Piece:
        if most is c.MAXREPEAT or most > _MANY:
            whole = _Piece()
            for _ in range(max(min(least, _COPIES) - 1, 0)):
                whole = self._after(whole, self.sequence(inner))
            part = self.sequence(inner)
            self.automaton.join(part.last, part.first)
            return self._after(whole, self._optional(part) if least == 0 else part)
        whole = _Piece()
        for number in range(min(most, max(least, _COPIES))):
            part = self.sequence(inner)
            whole = self._after(whole, part if number < least else self._optional(part))
        return whole

    @staticmethod
    def _optional(part: _Piece) -> _Piece:
        return _Piece(True, True, part.first, part.last, part.final)

    def _characters(self, kind: Any, value: Any) -> frozenset[str]:
        if kind is c.ANY:
            return ALPHABET if self.flags & re.DOTALL else ALPHABET - {"\n"}
        if kind is c.IN:
            found = {each for each in ALPHABET if self._is_in(value, each)}
            return frozenset(found)
        known = {chr(value)}
        if self.flags & re.IGNORECASE:
            known |= {chr(value).lower(), chr(value).upper()}
        return frozenset(known) if kind is c.LITERAL else ALPHABET - known

    def _is_in(self, items: Any, character: str) -> bool:
        negated, inside = False, False
        forms = {character, *((character.lower(), character.upper()) if self.flags & re.IGNORECASE else ())}
        for kind, value in items:
            if kind is c.NEGATE:
                negated = True
            elif kind is c.LITERAL:
                inside |= chr(value) in forms
            elif kind is c.RANGE:
                inside |= any(value[0] <= ord(each) <= value[1] for each in forms if len(each) == 1)
            elif kind is c.CATEGORY:
                name = str(value).rpartition("_")[2].lower()
                letter = {"digit": "d", "space": "s", "word": "w"}[name]
                inside |= bool(re.match("\\" + letter, character)) is not ("NOT_" in str(value))
            else:
                raise AssertionError(f"the check does not know {kind}")
        return inside is not negated


def automaton(pattern: str, flags: int, method: str) -> Automaton:
    """The automaton of a pattern for one method of `re.Pattern`."""
    tree = parser.parse(pattern, flags)
    flags = tree.state.flags
    maker = _Maker(flags)
    whole = maker.sequence(tree)
    made = maker.automaton
    made.final = frozenset() if method == "fullmatch" else whole.final
    # Not even at the end something fails that takes everything.
    made.final |= {state for state in whole.final if made.takes[state] == ALPHABET and (state, state) in made.ways}
    if method not in ("match", "fullmatch"):
        _begin_anywhere(made, whole, tree, flags)
    made.close()
    return made


def _begin_anywhere(made: Automaton, whole: _Piece, tree: Any, flags: int) -> None:
    """What a search does: it begins at each character, where the character before it allows that."""
    before = ALPHABET
    kind, value = tree[0] if len(tree) else (None, None)
    if kind is c.AT and (value is c.AT_BEGINNING_STRING or (value is c.AT_BEGINNING and not flags & re.MULTILINE)):
        return
    if kind is c.AT and value is c.AT_BEGINNING:
        before = frozenset("\n")
    if kind is c.AT and value is c.AT_BOUNDARY:
        begins = frozenset().union(*(made.takes[state] for state in whole.first))
        before = ALPHABET - _WORD if begins <= _WORD else ALPHABET
    if kind is c.ASSERT_NOT and value[0] < 0 and len(value[1]) == 1:
        before = ALPHABET - _Maker(flags)._characters(*value[1][0])
    if kind is c.ASSERT and value[0] < 0 and value[1][-1][0] in _ONE:
        before = _Maker(flags)._characters(*value[1][-1])
    anywhere = made.add(ALPHABET)
    here = made.add(before)
    made.join([anywhere], [anywhere, here])
    made.join([here], whole.first)


def trouble(pattern: str, flags: int, method: str) -> str:
    """What is bad about a pattern; empty when nothing is."""
    made = automaton(pattern, flags, method)
    loops = [part for part in _components(made) if len(part) > 1 or any((state, state) in made.ways for state in part)]
    for part in loops:
        if part <= made.final:
            continue
        found = _in_two_ways(made, part)
        if found:
            return f"the ways double with each {found!r}"
    for one in loops:
        for other in loops:
            if one is other or other <= made.final:
                continue
            found = _from_one_to_the_other(made, one, other)
            if found:
                return f"the time grows with the square of the number of {found!r}"
    return ""


def _components(made: Automaton) -> list[frozenset[int]]:
    """States between which there are ways in both directions."""
    count = len(made.takes)
    reach = [_closure(made, state) for state in range(count)]
    parts = {frozenset({state, *(each for each in reach[state] if state in reach[each])}) for state in range(count)}
    return sorted(parts, key=sorted)


def _closure(made: Automaton, state: int) -> set[int]:
    found: set[int] = set()
    left = [state]
    while left:
        for each in made.next(left.pop()):
            if each not in found:
                found.add(each)
                left.append(each)
    return found


def _in_two_ways(made: Automaton, part: frozenset[int]) -> str:
    """A character with which one text leads from a state to itself in two ways; empty when there is none."""
    for one in part:
        for other in made.next(one):
            if other in part and made.ways[one, other] > 1:
                return _example(made.takes[other])
    for state in part:
        forward = _pairs(made, part, (state, state), back=False)
        backward = _pairs(made, part, (state, state), back=True)
        for pair in forward & backward:
            if pair[0] != pair[1]:
                return _example(made.takes[pair[0]] & made.takes[pair[1]])
    return ""


def _pairs(made: Automaton, part: frozenset[int], start: tuple[int, int], *, back: bool) -> set[tuple[int, int]]:
    steps: dict[int, list[int]] = defaultdict(list)
    for one, other in made.ways:
        if one in part and other in part:
            steps[other if back else one].append(one if back else other)
    found: set[tuple[int, int]] = set()
    left = [start]
    while left:
        one, other = left.pop()
        for pair in ((a, b) for a in steps[one] for b in steps[other]):
            # Going back, it is the pair that was come from whose characters count; those of a state are one set.
            if pair not in found and made.takes[pair[0]] & made.takes[pair[1]]:
                found.add(pair)
                left.append(pair)
    return found


def _from_one_to_the_other(made: Automaton, one: frozenset[int], other: frozenset[int]) -> str:
    """A character of a text that leads round in each of two loops, and from the first one to the second."""
    for begin in one:
        for end in other - made.final:
            seen = {(begin, begin, end)}
            left = [(begin, begin, end)]
            while left:
                first, middle, last = left.pop()
                for a in made.next(first):
                    if a not in one:
                        continue
                    for z in made.next(last):
                        if z not in other or not (both := made.takes[a] & made.takes[z]):
                            continue
                        for m in made.next(middle):
                            common = both & made.takes[m]
                            if not common or (a, m, z) in seen:
                                continue
                            if (a, m, z) == (begin, end, end):
                                return _example(common)
                            seen.add((a, m, z))
                            left.append((a, m, z))
    return ""


def _example(characters: frozenset[str]) -> str:
    return min(characters, key=lambda each: (not each.isprintable(), each))
