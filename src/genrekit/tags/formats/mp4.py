"""MP4: M4A with AAC or ALAC, M4B.

Source: ISO/IEC 14496-12; QuickTime File Format Specification, "Metadata"; iTunes' items are as
AtomicParsley and FFmpeg read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from genrekit.errors import TagError
from genrekit.tags.formats import ilst
from genrekit.tags.formats.base import Bytes, Edit, Named, Place, pieces

_PARENTS = {
    b"moov",
    b"udta",
    b"trak",
    b"mdia",
    b"minf",
    b"stbl",
    b"meta",
    b"moof",
    b"traf",
    b"mfra",
}
_PATH = (b"moov", b"udta", b"meta", b"ilst")
_OFFSETS = {b"stco": 4, b"co64": 8}
_HANDLER = (33).to_bytes(4, "big") + b"hdlr" + bytes(8) + b"mdirappl" + bytes(9)
_TEXTS = {b"\xa9gen", b"gnre"}  # genres of QuickTime and 3GPP, which stand beside iTunes' list


@dataclass
class Atom:
    """One atom: where it begins, where its content begins, where it ends, and the atoms in it."""

    name: bytes
    start: int
    body: int
    end: int
    children: list[Atom] = field(default_factory=list)

    def find(self, *path: bytes) -> Atom | None:
        """Return the first atom along a path."""
        for child in self.children:
            if child.name == path[0]:
                return child if len(path) == 1 else child.find(*path[1:])
        return None

    def all(self) -> Iterator[Atom]:
        """Yield the atoms below, each before the atoms in it."""
        for child in self.children:
            yield child
            yield from child.all()


class Mp4:
    """An MP4 file.

    Raises:
        TagError: its atoms are cut short or damaged, or it has a genre that cannot be written.
    """

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._root = Atom(b"", 0, 0, len(data))
        self._root.children = list(self._atoms(0, len(data), ()))
        moov = self._root.find(b"moov")
        if moov is None:
            raise TagError("it has no moov atom, which says what is in it; the file was cut short")
        self._list = self._root.find(*_PATH)
        names = [atom.name for atom in self._root.all()]
        if b"keys" in names or names.count(b"ilst") > (self._list is not None):
            raise TagError("it holds a list of tags that is QuickTime's, or that is a second one")
        beside = moov.find(b"udta")
        if beside and any(atom.name in _TEXTS for atom in beside.children):
            raise TagError("it holds a genre of QuickTime or 3GPP beside iTunes' list of tags")
        if self._list is None:
            parent = self._parent()
            self.places = [Place(ilst.IlstTag(b""), parent.end, parent.end)]
        else:
            content = data[self._list.body : self._list.end]
            self.places = [Place(ilst.IlstTag(content), self._list.start, self._list.end)]

    def _atoms(self, here: int, end: int, path: tuple[bytes, ...]) -> Iterator[Atom]:
        while here + 8 <= end:
            size, name = self._number(here, 4), self._data[here + 4 : here + 8]
            body = here + 8
            if size == 1:
                size, body = self._number(here + 8, 8), here + 16
            elif size == 0 and not path:
                size = end - here  # the last atom goes to the end of the file
            if size < body - here or here + size > end:
                if path and path[-1] == b"udta":
                    return  # QuickTime ends a list of user data with four zeros
                raise TagError(
                    f"its {name.decode('latin-1')} atom says that it is {size} bytes long, and "
                    f"{end - here} are there; the file was cut short or is damaged"
                )
            atom = Atom(name, here, body, here + size)
            if name in _PARENTS and (name != b"meta" or path in ((b"moov", b"udta"), (b"moov",))):
                is_full = name == b"meta" and self._data[body + 4 : body + 8] != b"hdlr"
                inner = body + 4 * is_full
                atom.children = list(self._atoms(inner, atom.end, (*path, name)))
            yield atom
            here += size

    def _number(self, place: int, n_bytes: int) -> int:
        return int.from_bytes(self._data[place : place + n_bytes], "big")

    def _chain(self) -> list[Atom]:
        """Return the atoms that exist on the path to the list of tags."""
        chain: list[Atom] = []
        atom: Atom | None = self._root
        for name in _PATH:
            atom = atom.find(name) if atom else None
            if atom is None:
                break
            chain.append(atom)
        return chain

    def _parent(self) -> Atom:
        return self._chain()[-1]

    def rest(self) -> Iterator[Named]:
        """Yield the content of every atom, and the atom and offset that each pointer leads to."""
        yield from self._contents(self._root, "")

    def _contents(self, parent: Atom, path: str) -> Iterator[Named]:
        here = parent.body
        for atom in parent.children:
            name = f"{path}/{atom.name.decode('latin-1')}"
            if self._data[here : atom.start].strip(b"\0"):
                yield f"{path} itself", self._data[here : atom.start]
            here = atom.end
            if atom is self._list or self._is_room_or_handler(atom, parent):
                continue
            if atom.name in _PARENTS and atom.children:
                yield from self._contents(atom, name)
                continue
            pointers = list(self._pointers(atom))
            start = atom.body
            for place, n_bytes in pointers:
                yield name, self._data[start:place]
                yield f"{name} pointer", self._lead(self._number(place, n_bytes))
                start = place + n_bytes
            yield from ((name, piece) for piece in pieces(self._data, start, atom.end))
        if self._data[here : parent.end]:
            yield f"{path} end", self._data[here : parent.end]

    def _is_room_or_handler(self, atom: Atom, parent: Atom) -> bool:
        if parent.name != b"meta":
            return False
        return self._is_room(atom) or self._data[atom.start : atom.end] == _HANDLER

    def _is_room(self, atom: Atom) -> bool:
        """Whether an atom holds nothing but zeros; some programs sign their files in one."""
        return atom.name == b"free" and not self._data[atom.body : atom.end].strip(b"\0")

    def _lead(self, place: int) -> bytes:
        """Return which atom of the file a pointer leads into, and how far."""
        for number, atom in enumerate(self._root.children):
            if atom.start <= place < atom.end:
                return f"{number} {place - atom.start}".encode()
        return str(place).encode()

    def _pointers(self, atom: Atom) -> Iterator[tuple[int, int]]:
        """Yield the offset and length of each number that is an offset in the file."""
        if atom.name in _OFFSETS:
            n_bytes = _OFFSETS[atom.name]
            n_entries = self._number(atom.body + 4, 4)
            if atom.body + 8 + n_entries * n_bytes > atom.end:
                raise TagError("its table of chunks is damaged")
            for index in range(n_entries):
                yield atom.body + 8 + index * n_bytes, n_bytes
        elif atom.name == b"tfhd" and self._data[atom.body + 3] & 1:
            yield atom.body + 8, 8
        elif atom.name == b"tfra":
            yield from self._fragments(atom)

    def _fragments(self, atom: Atom) -> Iterator[tuple[int, int]]:
        n_bytes = 8 if self._data[atom.body] else 4
        lengths = self._data[atom.body + 11]
        n_entry = 2 * n_bytes + sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
        n_entries = self._number(atom.body + 12, 4)
        if atom.body + 16 + n_entries * n_entry > atom.end:
            raise TagError("its table of fragments is damaged")
        for index in range(n_entries):
            yield atom.body + 16 + index * n_entry + n_bytes, n_bytes

    def edits(self, new: Mapping[Place, bytes]) -> list[Edit]:
        """Replace the list; free space beside it shrinks, or else everything after it moves."""
        edits: list[Edit] = []
        for place, content in new.items():
            made = _atom(b"ilst", content)
            chain = self._chain()
            if self._list is None:
                made = self._wrapped(made, len(chain))
            else:
                chain.pop()
            growth = len(made) - (place.end - place.start)
            edits.append(Edit(place.start, place.end, made))
            if room := self._room(growth):
                edits.append(room)
            else:
                edits += [self._resized(atom, growth) for atom in chain]
                edits += self._moved(place.end, growth)
        return edits

    def _wrapped(self, made: bytes, n_there: int) -> bytes:
        """Wrap a list in the atoms that do not exist yet."""
        if n_there < 3:
            made = _atom(b"meta", bytes(4) + _HANDLER + made)
        return _atom(b"udta", made) if n_there < 2 else made

    def _room(self, growth: int) -> Edit | None:
        """Return how a free atom beside the list changes, if that suffices."""
        meta = self._root.find(*_PATH[:3])
        free = next(filter(self._is_room, meta.children), None) if meta else None
        if free is None or self._list is None or free.body - free.start != 8:
            return None
        length = free.end - free.start - growth
        if length == 0 or 8 <= length < 1 << 32:
            content = bytes(max(0, length - 8))
            return Edit(free.start, free.end, _atom(b"free", content) if length else b"")
        return None

    def _resized(self, atom: Atom, growth: int) -> Edit:
        n_bytes = 8 if atom.body - atom.start == 16 else 4
        first = atom.start + (8 if n_bytes == 8 else 0)
        size = self._number(first, n_bytes)
        if size and size + growth >= 1 << 8 * n_bytes:
            raise TagError("its atoms have no room for another genre")
        return Edit(first, first + n_bytes, (size and size + growth).to_bytes(n_bytes, "big"))

    def _moved(self, behind: int, growth: int) -> Iterator[Edit]:
        """Update every pointer to what moves."""
        for atom in self._root.all():
            for place, n_bytes in self._pointers(atom):
                leads_to = self._number(place, n_bytes)
                if leads_to >= behind:
                    if leads_to + growth >= 1 << 8 * n_bytes:
                        raise TagError("its table of chunks has no room for larger numbers")
                    yield Edit(place, place + n_bytes, (leads_to + growth).to_bytes(n_bytes, "big"))


def _atom(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content
