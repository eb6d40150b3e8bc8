import subprocess
import sys

import pytest

from mlxp.running import secrets
from mlxp.running.secrets import MASK, is_secret, learn_secrets, masked, without_secrets

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
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl" + FILL + "\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ" + FILL + "\n-----END PGP PRIVATE KEY BLOCK-----",
    "-----BEGIN PRIVATE KEY-----\\nMIIE" + FILL,
    "gsk_" + FILL,
    "xai-" + FILL,
    "r8_" + FILL[:37],
    "dapi" + "0123456789abcdef" * 2,
    "hvs." + FILL,
    "GOCSPX-" + FILL[:28],
    "nvapi-" + FILL,
    "tgp_v1_" + FILL,
    "eyJhcGlfYWRkcmVzcyI6" + FILL + "==",
    "xapp-1-A0123-" + FILL,
    "1234567890:AA" + FILL[:33],
    "AGE-SECRET-KEY-1" + FILL.upper()[:40] + "QPZRY9X8GF2TVDW0S3",
]


@pytest.mark.parametrize("secret", SHAPES, ids=lambda secret: secret[:13])
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
        ("github_pat=0123456789abcdef", f"github_pat={MASK}"),
        ("secret_list=[a-1,b-2]", f"secret_list={MASK}"),
        ("password_value=x", f"password_value={MASK}"),
        ("db_pass=hunter-2-hunter", f"db_pass={MASK}"),
        ("x-api-key: 0123456789abcdef", f"x-api-key: {MASK}"),
        ("passwords=[one,two three]", f"passwords={MASK}"),
        ("wandb: api_key: 0123456789abcdef", f"wandb: api_key: {MASK}"),
        ("'auth': password: 12345678", f"'auth': password: {MASK}"),
        (f"s3://AKIAABCDEFGHIJKLMNOP:{FILL}@bucket/x", f"s3://{MASK}@bucket/x"),
        (f"https://hooks.slack.com/services/T01/B02/{FILL}", f"https://hooks.slack.com/services/{MASK}"),
        ("login --password hunter2 --seed 1", f"login --password {MASK} --seed 1"),
        ("login --api-key='abcd-1234' x", f"login --api-key='{MASK}' x"),
        ("Command '['login', '--token', 'abcd1234', 'x']'", f"Command '['login', '--token', '{MASK}', 'x']'"),
        (f"https://h/a?X-Amz-Signature={FILL}&x=1", f"https://h/a?{MASK}&x=1"),
    ],
)
def test_secret_is_known_by_its_name(text, shown):
    assert masked(text, {}) == shown


@pytest.mark.parametrize(
    "text",
    [
        "pooling.token=cls",
        "--token cls --tokenizer gpt2-medium-1024 --max-tokens 1024 --password --verbose",
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
        "token_embedding_dim=512",
        "max_new_tokens=100000000",
        "pad_token=<|endoftext|>",
        "eos_token=[END-OF-TEXT]",
        "bos_token=begin_of_text_1",
        "password_reset=false",
        "password=null",
        "session=ses-20240501",
        "filter.low_pass=0.30000001",
        "data.pat=train_0001_*.csv",
        "credentials=/home/me/.config/gcloud/key.json",
        "GOOGLE_APPLICATION_CREDENTIALS=~/keys/project-1.json",
        "keys=[train.loss-1,test.loss-2]",
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


def test_all_that_is_called_secret_is_masked_whatever_it_is():
    content = {
        "secrets": {"one": "a", "more": ["b c", 17]},
        "password": 12345678,
        "db": {"passwords": ["x"], "num_passwords": 3, "use_password": True, "pwd": "${oc.env:PW}"},
        "overrides": ["+password=two words, and more", "+passphrases=[a-1,b-2]", "seed=1"],
    }
    assert without_secrets(content, {}) == {
        "secrets": {"one": MASK, "more": [MASK, MASK]},
        "password": MASK,
        "db": {"passwords": [MASK], "num_passwords": 3, "use_password": True, "pwd": "${oc.env:PW}"},
        "overrides": [f"+password={MASK}", f"+passphrases={MASK}", "seed=1"],
    }


def test_secret_of_the_configuration_is_masked_wherever_it_turns_up(monkeypatch):
    monkeypatch.setattr(secrets, "_learned", {})
    learn_secrets({"login": {"user": "me-and-you", "passwords": {"db": "open-sesame-1"}}, "note": "in-the-open"})
    assert masked("ValueError: open-sesame-1 is wrong for me-and-you in-the-open", {}) == (
        f"ValueError: {MASK} is wrong for me-and-you in-the-open"
    )


def test_name_without_a_value_is_no_secret():
    assert not is_secret("password", "")


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a=", "token=", "://", "eyJ.", "-----BEGIN ", " ", "x:", "?key=", "bearer ", "[", "x=[", "a: b: "),
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_hostile_line_does_not_hang(text):
    program = f"from mlxp.running.secrets import masked; print(len(masked({text!r} * 100_000, {{}})) > 0)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert answer.stdout.strip() == b"True"
