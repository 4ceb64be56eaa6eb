"""The header of a FLAC frame, read from its first 16 bytes.

Source: RFC 9639, section 9.1 (frame header).
"""

from __future__ import annotations


def coded_number(head: bytes) -> int:
    """Decode the frame's or sample's number, written as UTF-8 writes a character.

    Source: RFC 9639, section 9.1.5 (coded number).
    """
    n_more = _number_bytes(head) - 1
    number = head[4] & (0x7F if not n_more else 0x3F >> n_more)
    for byte in head[5 : 5 + n_more]:
        number = number << 6 | byte & 0x3F
    return number


def _number_bytes(head: bytes) -> int:
    """Return how many bytes the coded number takes."""
    return max(1, 8 - (head[4] ^ 0xFF).bit_length()) if head[4] & 0x80 else 1


def block_samples_of(head: bytes) -> int:
    """Return how many samples a FLAC frame holds, by its first 16 bytes; 0 where that is reserved.

    Source: RFC 9639, sections 9.1.1 and 9.1.6 (block size).
    """
    code = head[2] >> 4 if len(head) > 4 else 0
    if code in (6, 7):
        at, n_bytes = 4 + _number_bytes(head), code - 5
        return int.from_bytes(head[at : at + n_bytes], "big") + 1
    return 256 << code - 8 if code >= 8 else (0, 192, 576, 1152, 2304, 4608)[code]


def is_flac_header(head: bytes) -> bool:
    """Say whether these 16 bytes begin with a whole frame header, by its checksum.

    Source: RFC 9639, section 9.1.8 (CRC of 8 bits).
    """
    if len(head) < 16 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] & 1:
        return False
    if head[4] == 0xFF:
        return False
    n_size = {6: 1, 7: 2}.get(head[2] >> 4, 0)
    n_rate = {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    end = 4 + _number_bytes(head) + n_size + n_rate
    return _crc8(head[:end]) == head[end]


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def _crc8_of(value: int) -> int:
    for _ in range(8):
        value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


_CRC8 = [_crc8_of(value) for value in range(256)]
