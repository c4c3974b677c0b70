"""What is signed, what is not, and what only looks so."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from thornback.errors import InvalidInput, SignatureInvalid
from thornback.webhooks.sign import read_signing_key, sign_fal, sign_replicate
from thornback.webhooks.signatures import (
    Envelope,
    check_age,
    fal_envelope,
    is_signed_with_key,
    is_signed_with_secret,
    parse_jwks,
    parse_secret,
    parse_secrets,
    replicate_envelope,
)

NOW = 1_790_000_000
SECRET = b"a secret of at least 24 bytes"
OTHER = b"another secret of 24 bytes or so"
WHSEC = "whsec_" + base64.b64encode(SECRET).decode()
BODY = '{"id": "r1", "status": "succeeded", "logs": "50%|█████     |"}'.encode()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WRONG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def jwk(key: Ed25519PublicKey) -> Mapping[str, str]:
    x = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(x).rstrip(b"=").decode()}


def fal_headers(body: bytes = BODY, *, key: Ed25519PrivateKey = KEY, request_id: str = "q1") -> dict[str, str]:
    return dict(sign_fal(body, key, request_id=request_id, timestamp=NOW))


def replicate_headers(body: bytes = BODY, *, secret: bytes = SECRET) -> dict[str, str]:
    return dict(sign_replicate(body, secret, timestamp=NOW, delivery_id="msg_1"))


def accepts_replicate(headers: Mapping[str, str], body: bytes, *secrets: bytes) -> bool:
    return is_signed_with_secret(replicate_envelope(headers, body), secrets or (SECRET,))


def accepts_fal(headers: Mapping[str, str], body: bytes, *keys: Ed25519PrivateKey) -> bool:
    public = [key.public_key() for key in keys or (KEY,)]
    return is_signed_with_key(fal_envelope(headers, body), public)


def test_the_reference_library_signs_what_we_accept() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    signature = Webhook(WHSEC).sign("msg_1", at, BODY.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}
    assert accepts_replicate(headers, BODY, parse_secret(WHSEC))
    assert headers == replicate_headers()


def test_the_example_of_the_standard_is_accepted() -> None:
    # The values of the Standard Webhooks specification's own verification example.
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert accepts_replicate(headers, b'{"test": 2432232314}', secret)


def test_any_of_several_secrets_and_of_several_entries_will_do() -> None:
    old, new = replicate_headers(secret=OTHER), replicate_headers()
    assert accepts_replicate(old, BODY, SECRET, OTHER)
    both = {**new, "webhook-signature": f"{old['webhook-signature']} {new['webhook-signature']}"}
    assert accepts_replicate(both, BODY)
    assert not accepts_replicate(old, BODY)


@pytest.mark.parametrize("entry", ["{good}", "v1a,{good}", "v2,{good}", "v1={good}", "v1,", "v1,***", ",", ""])
def test_only_entries_of_version_1_count(entry: str) -> None:
    good = replicate_headers()["webhook-signature"].removeprefix("v1,")
    headers = {**replicate_headers(), "webhook-signature": entry.format(good=good) or " "}
    assert not accepts_replicate(headers, BODY)


def test_the_number_of_entries_that_are_tried_is_bounded() -> None:
    good = replicate_headers()["webhook-signature"]
    many = " ".join(["v1,AAAA"] * 16 + [good])
    assert not accepts_replicate({**replicate_headers(), "webhook-signature": many}, BODY)


def test_bytes_that_are_no_text_are_signed_like_any_others() -> None:
    body = b'{"logs": "\xff\xfe\x00"}'
    assert accepts_replicate(replicate_headers(body), body)
    assert accepts_fal(fal_headers(body), body)


@given(body=st.binary(max_size=200), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_flipped_bit_breaks_either_signature(body: bytes, at: int, bit: int) -> None:
    body = body or b"x"
    flipped = bytearray(body)
    flipped[at % len(body)] ^= 1 << bit
    replicate, fal = replicate_headers(body), fal_headers(body)
    assert accepts_replicate(replicate, body)
    assert not accepts_replicate(replicate, bytes(flipped))
    assert accepts_fal(fal, body)
    assert not accepts_fal(fal, bytes(flipped))


def test_json_that_was_parsed_and_written_again_is_another_body() -> None:
    again = BODY.replace(b": ", b":")
    assert not accepts_replicate(replicate_headers(), again)
    assert not accepts_fal(fal_headers(), again)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_replicate_signs_with_three_headers(name: str) -> None:
    headers = replicate_headers()
    del headers[name]
    with pytest.raises(SignatureInvalid, match=name):
        replicate_envelope(headers, BODY)
    # another id or another second is not what was signed
    changed = {**replicate_headers(), name: "1790000001" if name == "webhook-timestamp" else "msg_2"}
    assert not accepts_replicate(changed, BODY)


@pytest.mark.parametrize(
    "name", [f"x-fal-webhook-{name}" for name in ("request-id", "user-id", "timestamp", "signature")]
)
def test_fal_signs_with_four_headers(name: str) -> None:
    headers = fal_headers()
    del headers[name]
    with pytest.raises(SignatureInvalid, match=name):
        fal_envelope(headers, BODY)
    changed = {**fal_headers(), name: "1790000001" if name.endswith("timestamp") else "ab"}
    assert not accepts_fal(changed, BODY)


def test_fal_has_several_keys() -> None:
    assert accepts_fal(fal_headers(), BODY, WRONG_KEY, KEY)
    assert not accepts_fal(fal_headers(), BODY, WRONG_KEY)


@pytest.mark.parametrize("text", ["", "now", "1e9", "-1", "1790000000.5", " 1790000000", "٣" * 10, "9" * 13, "0x10"])
@pytest.mark.parametrize("read", [replicate_envelope, fal_envelope])
def test_a_time_stamp_is_whole_seconds(text: str, read: Callable[[Mapping[str, str], bytes], Envelope]) -> None:
    headers = {**replicate_headers(), **fal_headers()}
    headers |= {"webhook-timestamp": text, "x-fal-webhook-timestamp": text}
    with pytest.raises(SignatureInvalid, match="timestamp"):
        read(headers, BODY)


@pytest.mark.parametrize(("offset", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_age_is_bounded_both_ways(offset: int, good: bool) -> None:
    envelope = replicate_envelope(replicate_headers(), BODY)
    if good:
        check_age(envelope, now=NOW + offset, tolerance_s=300.0)
        return
    with pytest.raises(SignatureInvalid, match=r"301 s (old|ahead)"):
        check_age(envelope, now=NOW + offset, tolerance_s=300.0)


def test_a_header_with_control_characters_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="webhook-id"):
        replicate_envelope({**replicate_headers(), "webhook-id": "msg\n1"}, BODY)


def test_fal_names_no_delivery_so_the_body_does() -> None:
    envelope = fal_envelope(fal_headers(), BODY)
    assert envelope.subject == "q1"
    assert envelope.id.startswith("q1:")
    assert envelope.id == fal_envelope(fal_headers(), BODY).id
    assert envelope.id != fal_envelope(fal_headers(b"{}"), b"{}").id


def test_secrets_are_split_at_commas_with_or_without_padding() -> None:
    assert parse_secrets(f" {WHSEC} ,, {base64.b64encode(OTHER).decode().rstrip('=')}") == (SECRET, OTHER)
    assert parse_secrets("") == ()


@pytest.mark.parametrize("text", ["whsec_", "whsec_***", "whsec_ä", "x"])
def test_a_damaged_secret_is_told_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidInput, match="THORNBACK_REPLICATE_WEBHOOK_SECRETS") as caught:
        parse_secret(text)
    assert "*" not in str(caught.value)


def test_other_kinds_of_keys_in_a_set_are_passed_over() -> None:
    good = jwk(KEY.public_key())
    rsa = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
    short = {**good, "x": "AAAA"}
    keys = parse_jwks({"keys": [rsa, short, {**good, "x": None}, "text", {**good, "x": "é"}, good]})
    assert [jwk(key) for key in keys] == [good]


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": "x"}, "keys"])
def test_what_is_no_key_set_has_no_keys(document: object) -> None:
    assert parse_jwks(document) == ()


def test_a_signing_key_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert accepts_fal(fal_headers(key=read_signing_key(path)), BODY)


def test_another_kind_of_signing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    rsa = generate_private_key(65537, 1024)
    for content in (b"no key", rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="key"):
            read_signing_key(path)
