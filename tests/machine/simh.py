"""Reads a SIMH magnetic tape image, written from its published description and from nothing of ours."""
import struct


def files(path):
    """@return the tape's files as lists of records."""
    data = open(path, "rb").read()
    tape, current, at = [], [], 0
    while at + 4 <= len(data):
        word = struct.unpack_from("<I", data, at)[0]
        if word == 0:
            tape.append(current)
            current = []
            at += 4
        elif word == 0xFFFFFFFF:
            break
        elif word == 0xFFFFFFFE:
            at += 4
        else:
            length = word & 0x00FFFFFF
            padded = length + length % 2
            record = data[at + 4:at + 4 + length]
            trailer = struct.unpack_from("<I", data, at + 4 + padded)[0]
            if trailer != word or len(record) != length:
                raise ValueError(f"{path}: the record at {at} is not framed")
            current.append(record)
            at += 8 + padded
    if current:
        tape.append(current)
    return tape
