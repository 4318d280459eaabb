"""Who can read bundles, and what is said of keys that cannot be used."""

import pyrage
import pytest

from monitor.evidence.bundle import RecipientError, Recipients


def test_every_recipient_can_read() -> None:
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    recipients = Recipients([f" {key.to_public()}\n" for key in keys])
    locked = recipients.encrypt(b"bundle")
    for key in keys:
        assert pyrage.decrypt(locked, [key]) == b"bundle"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        # The shape of what `age-keygen -pq` prints since age 1.3.
        ("age1pq1" + "q" * 1900, "post-quantum recipient, which is not supported"),
        ("AGE1PQ1" + "Q" * 1900, "post-quantum recipient, which is not supported"),
        ("age1yubikey1q" + "z" * 40, "plugin 'yubikey', which is not supported"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBq3", "SSH key, which is not supported"),
        ("age1" + "q" * 20, "not an age public key"),
        ("", "not an age public key"),
    ],
)
def test_a_key_of_another_kind_is_named(key: str, said: str) -> None:
    good = str(pyrage.x25519.Identity.generate().to_public())
    with pytest.raises(RecipientError, match=said) as refused:
        Recipients([good, key])
    assert str(refused.value).startswith("recipient 2: ")
    assert len(str(refused.value)) < 300


def test_a_private_key_is_refused_and_not_repeated() -> None:
    secret = str(pyrage.x25519.Identity.generate())
    for given in (secret, secret.lower(), "AGE-SECRET-KEY-PQ-1QQQQ"):
        with pytest.raises(RecipientError, match="a private key") as refused:
            Recipients([given])
        assert given[15:30] not in str(refused.value)
