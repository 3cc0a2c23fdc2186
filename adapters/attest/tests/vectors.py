"""Makes `vectors.json` from the text of docs/contract/peers.md alone: RFC 8032 in plain Python, nothing of Grove.

`python3 vectors.py` prints it; the test compares what it prints with the file.
"""

import hashlib
import json
import struct

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(left, right):
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P)
    return x % P, y % P


def multiply(point, scalar):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def base():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x % 2 == 0 else P - x), y


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def expand(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ~7 & ((1 << 254) - 1) | 1 << 254
    return scalar, digest[32:]


def public(seed):
    return encode(multiply(base(), expand(seed)[0]))


def sign(seed, message):
    scalar, prefix = expand(seed)
    secret = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % ORDER
    point = encode(multiply(base(), secret))
    factor = int.from_bytes(hashlib.sha512(point + public(seed) + message).digest(), "little") % ORDER
    return point + ((secret + factor * scalar) % ORDER).to_bytes(32, "little")


def field(value):
    if isinstance(value, int):
        value = struct.pack(">Q", value)
    elif isinstance(value, str):
        value = value.encode()
    elif isinstance(value, list):
        value = struct.pack(">Q", len(value)) + b"".join(field(item) for item in sorted(value, key=str.encode))
    return struct.pack(">I", len(value)) + value


def signed(*fields):
    return b"".join(field(value) for value in fields)


def rfc3339(ms):
    import datetime

    at = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


def vector(number, audience, project, rights, not_before_ms, ttl_ms):
    member, session, nonce = (bytes([16 * kind + number]) * 32 for kind in (1, 2, 3))
    keys = {"member": public(member), "session": public(session)}
    expires_at_ms = not_before_ms + ttl_ms
    fields = ["grove-attest-v1", audience, project, keys["member"], keys["session"], not_before_ms, expires_at_ms]
    attested = signed(*fields, *([] if rights is None else [rights]))
    hello = signed("grove-hello-v1", audience, project, keys["session"], nonce)
    of_member = signed("grove-member-v1", audience, project, keys["member"], nonce)
    return {
        "audience": audience,
        "project": project,
        "rights": rights,
        "not_before": rfc3339(not_before_ms),
        "expires_at": rfc3339(expires_at_ms),
        "not_before_ms": not_before_ms,
        "expires_at_ms": expires_at_ms,
        "nonce": nonce.hex(),
        "member_seed": member.hex(),
        "session_seed": session.hex(),
        "member_public_key": keys["member"].hex(),
        "session_public_key": keys["session"].hex(),
        "attest_bytes": attested.hex(),
        "attest_signature": sign(member, attested).hex(),
        "hello_bytes": hello.hex(),
        "hello_signature": sign(session, hello).hex(),
        "member_bytes": of_member.hex(),
        "member_signature": sign(member, of_member).hex(),
    }


HOUR = 3_600_000
VECTORS = [
    vector(1, "desk", "acme", None, 1_775_484_010_123, 12 * HOUR),
    vector(2, "desk", "acme", [], 1_775_484_010_123, 24 * HOUR),
    vector(3, "conformance", "main", ["write", "read", "rooms:admin", "agent:*"], 1_775_484_010_000, 1),
    vector(4, "Schreibtisch-ä", "größe", ["ß", "zz", "é", "a"], 0, HOUR),
    vector(5, "", "", ["x" * 200], 253_402_300_799_999 - HOUR, HOUR),
]

if __name__ == "__main__":
    print(json.dumps(VECTORS, indent=2, ensure_ascii=False))
