import subprocess
import sys

import pytest

from mlxp.running.secrets import MASK, is_secret, masked, without_secrets

# Made up, in the shapes that real ones have; put together here, so that no scanner takes this file for a leak.
FILL = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
SHAPES = [
    "ghp_" + FILL[:36],
    "gho_" + FILL[:36],
    "ghs_" + FILL[:36],
    "github_pat_" + FILL[:22] + "_" + FILL,
    "glpat-" + FILL[:20],
    "hf_" + FILL[:34],
    "wandb_v1_" + FILL,
    "sk-" + FILL,
    "sk-proj-" + FILL + "_" + FILL,
    "sk-ant-api03-" + FILL,
    "xoxb-1234567890-" + FILL[:24],
    "npm_" + FILL[:36],
    "pypi-AgEIcHlwaS5vcmc" + FILL,
    "AIza" + FILL[:35],
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "ASIA" + "ABCDEFGHIJKLMNOP",
    "SG." + FILL[:22] + "." + FILL[:40],
    "sk_live_" + FILL[:24],
    "dckr_pat_" + FILL[:27],
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + FILL,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + FILL + "\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SHAPES, ids=lambda secret: secret[:12])
@pytest.mark.parametrize(
    "text", ["{}", "ValueError: cannot log in with {} today", "x='{}'", "https://example.org/{}/x"]
)
def test_secret_is_known_by_its_shape(secret, text):
    shown = masked(text.format(secret), {})
    assert secret not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa55word@git.example.org/x.git", f"https://{MASK}@git.example.org/x.git"),
        (f"https://{FILL}@git.example.org/x.git", f"https://{MASK}@git.example.org/x.git"),
        ("postgresql://u:p@db:5432/mlflow", f"postgresql://{MASK}@db:5432/mlflow"),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: {MASK} {MASK}"),
        ("curl -H 'X: Bearer abcdefgh12345678abc'", f"curl -H 'X: Bearer {MASK}'"),
        ("https://x.blob/a?sv=1&sig=abc%2Bdef123456&se=2", f"https://x.blob/a?sv=1&{MASK}&se=2"),
        ("+hf_token=abcd1234 seed=1", f"+hf_token={MASK} seed=1"),
        ("login.password='two words 1' x=1", f"login.password='{MASK}' x=1"),
        ("db.pwd=cat", f"db.pwd={MASK}"),
        ("wandbApiKey: 0123456789abcdef", f"wandbApiKey: {MASK}"),
        ("aws_secret_access_key = 0123456789abcdef/+", f"aws_secret_access_key = {MASK}"),
        ('{"apikey": "0123456789"}', f'{{"apikey": "{MASK}"}}'),
        ("CLIENT_SECRET=x1", f"CLIENT_SECRET={MASK}"),
        ("++account_key=0123456789ab==", f"++account_key={MASK}"),
        ("session_token=0123456789abcdef", f"session_token={MASK}"),
    ],
)
def test_secret_is_known_by_its_name(text, shown):
    assert masked(text, {}) == shown


@pytest.mark.parametrize(
    "text",
    [
        "pooling.token=cls",
        "tokenizer=gpt2-medium-1024",
        "max_tokens=1024",
        "num_tokens: 300000000",
        "token_dim=512",
        "model.key_dim=64",
        "attention.key=query",
        "PWD=/home/me/project1",
        "credentials=gcp",
        "auth=none",
        "optimizer.lr=0.001",
        "seed=1 sort_key=test.loss",
        "monkey=banana1234567",
        "author=someone",
        "data_dir=/scratch/me/0123456789abcdef",
        "https://example.org/path?key=1&page=2",
        "git@github.com:me/project.git",
        "ssh://git@example.org/me/project.git",
        "http://localhost:5000/api",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "sk-learn is imported as sklearn",
        "secretary=ann1234567890",
        "passwordless=true",
        "session=3",
        "primary_key=log_id",
        "hf_hub=main",
        "KeyError: 'token'",
        "bearer of bad news",
        "time: 12:30:45",
        "hf_token=${oc.env:HF_TOKEN}",
    ],
)
def test_harmless_text_stays(text):
    assert masked(text, {}) == text


def test_value_of_a_secret_variable_is_found_wherever_it_turns_up():
    environment = {"HF_TOKEN": "plain-word-1", "PWD": "/home/me/project1", "API_KEY": "x"}
    assert masked("failed: plain-word-1 is wrong in /home/me/project1, x", environment) == (
        f"failed: {MASK} is wrong in /home/me/project1, x"
    )


def test_nested_values_are_masked_by_their_names_and_others_stay_what_they_are():
    content = {"db": {"password": "a b", "port": 5432}, "urls": ["https://u:p@h/x"], "lr": 0.1, "token": None}
    expected = {"db": {"password": MASK, "port": 5432}, "urls": [f"https://{MASK}@h/x"], "lr": 0.1, "token": None}
    assert without_secrets(content, {}) == expected


def test_name_without_a_value_is_no_secret():
    assert not is_secret("password", "")


@pytest.mark.parametrize("text", ["a", "a=", "token=", "://", "eyJ.", "-----BEGIN ", " ", "x:", "?key=", "bearer "])
def test_hostile_line_does_not_hang(text):
    program = f"from mlxp.running.secrets import masked; print(len(masked({text!r} * 100_000, {{}})) > 0)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert answer.stdout.strip() == b"True"
