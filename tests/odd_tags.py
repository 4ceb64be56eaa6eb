"""Tags with odd contents, built by hand and taken apart by hand again, for the tests of tags.

Nothing here uses genrekit: what ``*_rest`` returns is all of a tag but the genre and GENREKIT, and
but the items in which the name of a field for the style stands, where one is given.
"""

from __future__ import annotations

import re
import struct
import zlib

from mutagen.ogg import OggPage

NO_STYLE = b"\0no style"
GUIDS = {
    "extended": bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850"),
    "extension": bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365"),
    "library": bytes.fromhex("941c23449894d149a1411d134e457054"),
    "metadata": bytes.fromhex("eacbf8c5af5b77488467aa8c44fa4cca"),
    "padding": bytes.fromhex("74d40618dfca0945a4ba9aabcb96aae8"),
    "file": bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"),
}


def syncsafe(number: int, length: int = 4) -> bytes:
    return bytes(number >> 7 * place & 0x7F for place in reversed(range(length)))


def id3(
    version: int,
    frames: list[tuple[bytes, int, bytes]],
    *,
    is_unsynchronised: bool = False,
    extended: str = "",
    has_footer: bool = False,
    n_padding: int = 0,
) -> bytes:
    """Build a tag of frames, each a name of four letters, flags and content."""
    body = b""
    for name, flags, content in frames:
        if version == 2:
            body += name[:3] + len(content).to_bytes(3, "big") + content
        else:
            size = syncsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big")
            body += name + size + bytes([0, flags]) + content
    flags = 0x10 * has_footer | 0x40 * bool(extended) | 0x80 * is_unsynchronised
    if extended and version == 3:
        checksum = zlib.crc32(body).to_bytes(4, "big") if extended == "checksum" else b""
        head = len(checksum) + 6, 0x8000 * bool(checksum), n_padding
        body = struct.pack(">IHI", *head) + checksum + body
    elif extended:
        checksum = b"\5" + syncsafe(zlib.crc32(body + bytes(n_padding)), 5)
        data = checksum if extended == "checksum" else b""
        body = syncsafe(6 + len(data)) + b"\1" + bytes([0x20 * bool(data)]) + data + body
    body += bytes(n_padding)
    if is_unsynchronised and version < 4:
        body = re.sub(rb"\xff(?=[\x00\xe0-\xff])|\xff\Z", b"\xff\x00", body)
    head = bytes([version, 0, flags]) + syncsafe(len(body))
    return b"ID3" + head + body + (b"3DI" + head if has_footer else b"")


def id3_rest(tag: bytes, style: bytes = NO_STYLE) -> tuple[list[bytes], int]:
    """Return the flags and frames of the tag that begins some bytes, and its length."""
    version, flags, length = tag[3], tag[5], int.from_bytes(tag[6:10], "big")
    length = sum((length >> 8 * place & 0x7F) << 7 * place for place in range(4))
    body = tag[10 : 10 + length]
    if flags & 0x80 and version < 4:
        assert not re.search(rb"\xff[\xe0-\xff]|\xff\Z", body), "a synchronisation is left"
        body = body.replace(b"\xff\x00", b"\xff")
    here = 0
    if flags & 0x40:
        here = 4 + body[3] if version == 3 else body[3]
    begin = here
    found = [bytes([version, flags])]
    while body[here : here + 1].strip(b"\0"):
        if version == 2:
            end = here + 6 + int.from_bytes(body[here + 3 : here + 6], "big")
        else:
            digits = body[here + 4 : here + 8]
            bits = 7 if version == 4 else 8
            end = here + 10 + sum(d << bits * p for p, d in enumerate(reversed(digits)))
        frame = body[here:end]
        if frame[:3] != b"TCO" and b"GENREKIT" not in frame and style not in frame:
            found.append(frame)
        here = end
    if flags & 0x40:
        check_extended(version, body, begin, here)
    if flags & 0x10:
        assert tag[10 + length :][:10] == b"3DI" + tag[3:10]
    return found, 10 + length + 10 * bool(flags & 0x10)


def check_extended(version: int, body: bytes, length: int, end: int) -> None:
    """An extended header must say what is true of the tag as it is now; its frames end at end."""
    frames = body[length:]
    if version == 3:
        n_padding = len(body) - end
        assert int.from_bytes(body[6:10], "big") == n_padding
        frames = frames[: len(frames) - n_padding]
        checksum = body[10:length]
    else:
        checksum = body[7:length]
    expected = zlib.crc32(frames)
    if checksum:
        assert checksum == (syncsafe(expected, 5) if version == 4 else expected.to_bytes(4, "big"))


def ape(
    items: list[tuple[bytes, int, bytes]], *, version: int = 2000, header: bool = True
) -> bytes:
    body = b"".join(
        struct.pack("<II", len(value), flags) + key + b"\0" + value for key, flags, value in items
    )
    numbers = struct.pack("<III", version, len(body) + 32, len(items))
    head = b"APETAGEX" + numbers + struct.pack("<I", 0xA0000000) + bytes(8) if header else b""
    return head + body + b"APETAGEX" + numbers + struct.pack("<I", header << 31) + bytes(8)


def ape_rest(tag: bytes, style: bytes = NO_STYLE) -> list[bytes]:
    version, size, n_items, flags = struct.unpack("<IIII", tag[-24:-8])
    if flags >> 31:
        assert tag[:8] == b"APETAGEX"
        assert tag[8:20] == tag[-24:-12]
        assert len(tag) == size + 32
    body, here = tag[-size:-32], 0
    found = [version.to_bytes(4, "little") + flags.to_bytes(4, "little")]
    for _ in range(n_items):
        key_end = body.index(b"\0", here + 8)
        end = key_end + 1 + int.from_bytes(body[here : here + 4], "little")
        if body[here + 8 : key_end].lower() not in (b"genre", b"genrekit", style):
            found.append(body[here:end])
        here = end
    assert here == len(body)
    return found


def vorbis(comments: list[bytes], vendor: bytes = b"v") -> bytes:
    parts = [struct.pack("<I", len(comment)) + comment for comment in comments]
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(parts)) + b"".join(parts)


def vorbis_rest(block: bytes, style: bytes = NO_STYLE) -> list[bytes]:
    here = 4 + int.from_bytes(block[:4], "little")
    found, n_comments = [block[4:here]], int.from_bytes(block[here : here + 4], "little")
    here += 4
    for _ in range(n_comments):
        end = here + 4 + int.from_bytes(block[here : here + 4], "little")
        comment = block[here + 4 : end]
        if comment.lower().split(b"=")[0] not in (b"genre", b"genrekit", style):
            found.append(comment)
        here = end
    return [*found, block[here:]]


def flac(data: bytes, comments: list[bytes], n_padding: int | None) -> bytes:
    """Give a FLAC file of FFmpeg's other comments."""
    blocks, audio = flac_blocks(data)
    kept = [(code, content) for code, content in blocks if code not in (1, 4)]
    kept.insert(1, (4, vorbis(comments)))
    if n_padding is not None:
        kept.append((1, bytes(n_padding)))
    made = b"".join(
        bytes([code | 0x80 * (number == len(kept) - 1)]) + len(content).to_bytes(3, "big") + content
        for number, (code, content) in enumerate(kept)
    )
    return b"fLaC" + made + audio


def flac_blocks(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    blocks, here, code = [], 4, 0
    while not code & 0x80:
        code, end = data[here], here + 4 + int.from_bytes(data[here + 1 : here + 4], "big")
        blocks.append((code & 0x7F, data[here + 4 : end]))
        here = end
    return blocks, data[here:]


def flac_rest(data: bytes, style: bytes = NO_STYLE) -> list[bytes]:
    blocks, audio = flac_blocks(data)
    found = [bytes([code]) + content for code, content in blocks if code not in (1, 4)]
    for code, content in blocks:
        found += vorbis_rest(content, style) if code == 4 else []
    return [*found, audio]


def ogg_pages(data: bytes) -> list[OggPage]:
    """Return the pages, by mutagen, which refuses bad ones; FFmpeg's checksums are its own."""
    from io import BytesIO

    stream, pages = BytesIO(data), []
    while stream.tell() < len(data):
        start = stream.tell()
        page = OggPage(stream)
        assert page.write() == data[start : stream.tell()], "a checksum is wrong"
        pages.append(page)
    return pages


def ogg(data: bytes, comments: list[bytes], prefix: bytes, suffix: bytes, serial: int = 1) -> bytes:
    """Give an Ogg file of one stream by FFmpeg other comments, in pages by mutagen."""
    pages = ogg_pages(data)
    n_header = 2
    while len(OggPage.to_packets(pages[1:n_header])) < (2 if prefix == b"\x03vorbis" else 1):
        n_header += 1
    packets = OggPage.to_packets(pages[1:n_header])
    packets[0] = prefix + vorbis(comments) + suffix
    if prefix[:1] == b"\x84":
        packets[0] = prefix[:1] + (len(packets[0]) - 4).to_bytes(3, "big") + packets[0][4:]
    header = OggPage.from_packets(packets, sequence=1)
    for number, page in enumerate([*header, *pages[n_header:]], 1):
        page.sequence, page.serial = number, serial
    header[-1].position, pages[0].serial = 0, serial
    return b"".join(page.write() for page in [pages[0], *header, *pages[n_header:]])


def ogg_rest(data: bytes, prefix: bytes) -> list[bytes]:
    pages = ogg_pages(data)
    assert [page.sequence for page in pages] == list(range(len(pages)))
    packets = OggPage.to_packets(pages)
    found = vorbis_rest(packets[1][len(prefix) :])
    audio = [page for page in pages if page.position > 0]
    positions = [page.position.to_bytes(8, "little") for page in audio]
    bodies = [b"".join(page.packets) for page in audio]
    return [packets[0], packets[1][:1], *found, *packets[2:], *positions, *bodies]


def atom(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def atoms(data: bytes) -> list[tuple[bytes, bytes]]:
    found, here = [], 0
    while here < len(data):
        end = here + int.from_bytes(data[here : here + 4], "big")
        found.append((data[here + 4 : here + 8], data[here + 8 : end]))
        here = end
    return found


def mp4(data: bytes, items: list[bytes], n_free: int | None) -> bytes:
    """Give an MP4 file of FFmpeg without tags a list of them; its audio may stand behind."""
    hdlr = atom(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    free = b"" if n_free is None else atom(b"free", bytes(n_free))
    meta = atom(b"meta", bytes(4) + hdlr + atom(b"ilst", b"".join(items)) + free)
    udta, made, shift = atom(b"udta", meta), b"", 0
    names = [name for name, _ in atoms(data)]
    old = [
        len(content) + 8 for name, content in atoms(dict(atoms(data))[b"moov"]) if name == b"udta"
    ]
    if names.index(b"moov") < names.index(b"mdat"):
        shift = len(udta) - sum(old)
    for name, content in atoms(data):
        if name == b"moov":
            inner = b"".join(atom(*pair) for pair in atoms(content) if pair[0] != b"udta")
            place = inner.index(b"stco") + 12
            for index in range(int.from_bytes(content[place - 4 : place], "big")):
                at = place + 4 * index
                moved = int.from_bytes(inner[at : at + 4], "big") + shift
                inner = inner[:at] + moved.to_bytes(4, "big") + inner[at + 4 :]
            made += atom(name, inner + udta)
        else:
            made += atom(name, content)
    return made


def mp4_rest(data: bytes, style: bytes = NO_STYLE) -> list[bytes]:
    """Return the items, the other atoms, and the audio that the table of chunks leads to."""
    top = dict(atoms(data))
    moov = dict(atoms(top[b"moov"]))
    items = dict(atoms(dict(atoms(moov[b"udta"]))[b"meta"][4:]))[b"ilst"]
    found = [
        name + content
        for name, content in atoms(items)
        if name not in (b"\xa9gen", b"gnre", style)
        and not (name == b"----" and (b"GENRE" in content or style in content))
    ]
    table = moov[b"trak"]
    place = table.index(b"stco") + 12
    for index in range(int.from_bytes(table[place - 4 : place], "big")):
        start = int.from_bytes(table[place + 4 * index : place + 4 * index + 4], "big")
        found.append(data[start : start + 64])
    return [*found, top[b"ftyp"], moov[b"mvhd"], top[b"mdat"]]


def riff_chunks(data: bytes, order: str) -> list[tuple[bytes, bytes]]:
    assert int.from_bytes(data[4:8], order) + 8 == len(data)
    found, here = [], 12
    while here < len(data):
        end = here + 8 + int.from_bytes(data[here + 4 : here + 8], order)
        found.append((data[here : here + 4], data[here + 8 : end]))
        here = end + (end - here) % 2
    assert here == len(data)
    return found


def riff(data: bytes, order: str, more: list[tuple[bytes, bytes]]) -> bytes:
    chunks = riff_chunks(data, order) + more
    body = b"".join(
        name + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)
        for name, content in chunks
    )
    return data[:4] + (4 + len(body)).to_bytes(4, order) + data[8:12] + body


def riff_rest(data: bytes, order: str) -> list[bytes]:
    found = []
    for name, content in riff_chunks(data, order):
        if content[:3] == b"ID3":
            found += id3_rest(content)[0][1:]
        elif content[:4] == b"INFO":
            inner = riff_chunks(b"RIFF" + len(content).to_bytes(4, order) + content, order)
            found += [key + value for key, value in inner if key != b"IGNR"]
        else:
            found.append(name + content)
    return found


def asf_objects(data: bytes) -> list[tuple[bytes, bytes]]:
    found, here = [], 0
    while here < len(data):
        end = here + int.from_bytes(data[here + 16 : here + 24], "little")
        found.append((data[here : here + 16], data[here + 24 : end]))
        here = end
    return found


def asf_object(guid: bytes, content: bytes) -> bytes:
    return guid + (24 + len(content)).to_bytes(8, "little") + content


def asf_attributes(guid: bytes, content: bytes) -> list[tuple[str, bytes]]:
    found, here = [], 2
    for _ in range(int.from_bytes(content[:2], "little")):
        start, is_short = here, guid == GUIDS["extended"]
        n_name = int.from_bytes(content[here + 4 * (not is_short) :][:2], "little")
        name_at = here + (2 if is_short else 12)
        length_at = name_at + n_name + 2 if is_short else here + 8
        n_value = int.from_bytes(content[length_at : length_at + (2 if is_short else 4)], "little")
        here = name_at + n_name + 4 * is_short + n_value
        name = content[name_at : name_at + n_name].decode("utf-16-le").rstrip("\0")
        found.append((name, content[start:here]))
    assert here == len(content)
    return found


def asf(data: bytes, attributes: list[tuple[str, int, bytes]], n_padding: int | None) -> bytes:
    """Give a WMA file of FFmpeg attributes in both of the objects that hold such."""
    length = int.from_bytes(data[16:24], "little")
    short, long = b"", b""
    for name, kind, value in attributes:
        names = (name + "\0").encode("utf-16-le")
        short += (
            struct.pack("<H", len(names)) + names + struct.pack("<HH", kind, len(value)) + value
        )
        long += struct.pack("<HHHHI", 0, 1, len(names), kind, len(value)) + names + value
    count = len(attributes).to_bytes(2, "little")
    objects = []
    for guid, content in asf_objects(data[30:length]):
        if guid == GUIDS["extension"]:
            inner = content[22:] + asf_object(GUIDS["library"], count + long)
            extension = content[:18] + len(inner).to_bytes(4, "little") + inner
            objects.append(asf_object(guid, extension))
        elif guid not in (GUIDS["extended"], GUIDS["padding"]):
            objects.append(asf_object(guid, content))
    objects.append(asf_object(GUIDS["extended"], count + short))
    if n_padding is not None:
        objects.append(asf_object(GUIDS["padding"], bytes(n_padding)))
    body = b"".join(objects)
    numbers = (30 + len(body)).to_bytes(8, "little") + len(objects).to_bytes(4, "little")
    return data[:16] + numbers + data[28:30] + body + data[length:]


def asf_rest(data: bytes, style: bytes = NO_STYLE) -> list[bytes]:
    length = int.from_bytes(data[16:24], "little")
    objects = asf_objects(data[30:length])
    assert len(objects) == int.from_bytes(data[24:28], "little")
    found = [data[length:]]
    for guid, content in objects:
        if guid == GUIDS["extension"]:
            objects += asf_objects(content[22:])
        elif guid in (GUIDS["extended"], GUIDS["library"], GUIDS["metadata"]):
            named = asf_attributes(guid, content)
            ours = ("wm/genre", "wm/genreid", "genrekit", style.decode())
            found += [guid + value for name, value in named if name.lower() not in ours]
        elif guid == GUIDS["file"]:
            found.append(content[:16] + content[24:])
        elif guid != GUIDS["padding"]:
            found.append(guid + content)
    return found
