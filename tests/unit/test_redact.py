"""Nothing that is secret is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.workloads.redact import MASK, SHORTEST, redacted, secrets_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("starting with token=abc123def", f"starting with token={MASK}"),
        ("http://127.0.0.1:8888/lab?token=abc123def&x=1", f"http://127.0.0.1:8888/lab?token={MASK}&x=1"),
        ("JUPYTERHUB_API_TOKEN=abc123def", f"JUPYTERHUB_API_TOKEN={MASK}"),
        ('{"password": "open sesame"}', f'{{"password": "{MASK} sesame"}}'),
        ("Authorization: token abc123def", f"Authorization: token {MASK}"),
        ("Authorization: Bearer abc.def.ghi", f"Authorization: Bearer {MASK}"),
        ("postgres://me:hidden@db/x", f"postgres://me:{MASK}@db/x"),
        ("api_key = k-123", f"api_key = {MASK}"),
        ("the token was refused", "the token was refused"),
        ("error in tokenizer.py line 3", "error in tokenizer.py line 3"),
    ],
)
def test_what_is_called_secret_is_masked_and_other_text_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_the_environment_tells_what_is_secret() -> None:
    environment = {
        "PATH": "/bin",
        "DB_PASSWORD": "hunter2x",
        "AWS_SECRET_ACCESS_KEY": "a=b",
        "API_KEY": "k",
        "MONKEY": "banana",
    }
    assert secrets_of(environment) == ["hunter2x", "a=b", "k"]


@given(st.text(), st.lists(st.text(min_size=SHORTEST), max_size=4), st.text())
def test_no_secret_of_some_length_is_left(before: str, secrets: list[str], after: str) -> None:
    shown = redacted(before + "".join(secrets) + after, secrets)
    # What is left of the text may spell a secret anew only with the mask in it.
    assert not any(secret in part for secret in secrets for part in shown.split(MASK))


def test_short_values_are_not_looked_for() -> None:
    assert redacted("it is on", ["on", ""]) == "it is on"
