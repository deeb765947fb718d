"""What the small clients of these scenarios share: bytes that come in pieces."""


def exactly(connection, count, peer):
    """@return so many bytes; EOFError when the peer closes before."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError(f"the {peer} closed the connection")
        data += piece
    return data
