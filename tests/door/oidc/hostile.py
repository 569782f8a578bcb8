"""A provider that signs whatever a test asks for, and the tokens of one that would be somebody else."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ACCESS = "access-token-of-this-sign-in"
Json = dict[str, Any]


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


KEY, OTHER_KEY = new_key(), new_key()
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str = "k1", **more: Any) -> Json:
    kind = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def half_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def part(value: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: Json, *, key: Any = KEY, alg: str = "RS256", kid: str | None = "k1", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm=alg, headers={**({"kid": kid} if kid else {}), **header})


def unsigned(claims: Json, alg: str = "none") -> str:
    return f"{part({'alg': alg, 'typ': 'JWT', 'kid': 'k1'})}.{part(claims)}."


def hmac_signed(claims: Json) -> str:
    """HS256 with the public key as its secret: what a verifier takes who lets the token choose its algorithm."""
    import hmac

    secret = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims)}"
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def tampered(claims: Json) -> str:
    """A good signature under other words."""
    head, _, signature = signed({**claims, "sub": "s-bob"}).split(".")
    return f"{head}.{part(claims)}.{signature}"


def good(issuer: str, nonce: str, **changes: Any) -> Json:
    """The claims of a right token; a change to None leaves one out."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": "s-alice",
        "aud": "tre",
        "exp": now + 300,
        "iat": now,
        "nonce": nonce,
        "amr": ["pwd", "otp"],
        "at_hash": half_hash(ACCESS),
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def now(seconds: int) -> int:
    return int(time.time()) + seconds


#: (name, from right claims to the token, the code of the refusal)
BAD: list[tuple[str, Callable[[Json], str], str]] = [
    ("wrong issuer", lambda c: signed({**c, "iss": "https://evil.example"}), "token_issuer"),
    ("issuer with a slash more", lambda c: signed({**c, "iss": c["iss"] + "/"}), "token_issuer"),
    ("wrong audience", lambda c: signed({**c, "aud": "other"}), "token_audience"),
    ("audience without us", lambda c: signed({**c, "aud": ["other", "third"]}), "token_audience"),
    ("several audiences, no party", lambda c: signed({**c, "aud": ["tre", "other"]}), "token_audience"),
    ("several audiences, another party", lambda c: signed({**c, "aud": ["tre", "o"], "azp": "o"}), "token_audience"),
    ("another party", lambda c: signed({**c, "azp": "other"}), "token_audience"),
    ("wrong nonce", lambda c: signed({**c, "nonce": "n" * 43}), "token_nonce"),
    ("no nonce", lambda c: signed({k: v for k, v in c.items() if k != "nonce"}), "token_nonce"),
    ("nonce as a list", lambda c: signed({**c, "nonce": [c["nonce"]]}), "token_nonce"),
    ("expired", lambda c: signed({**c, "exp": now(-60)}), "token_expired"),
    ("of the future", lambda c: signed({**c, "iat": now(600)}), "token_early"),
    ("not yet", lambda c: signed({**c, "nbf": now(600)}), "token_early"),
    ("without end", lambda c: signed({k: v for k, v in c.items() if k != "exp"}), "token_claims"),
    ("without issue", lambda c: signed({k: v for k, v in c.items() if k != "iat"}), "token_claims"),
    ("without subject", lambda c: signed({k: v for k, v in c.items() if k != "sub"}), "token_claims"),
    ("empty subject", lambda c: signed({**c, "sub": ""}), "token_subject"),
    ("subject as a number", lambda c: tampered_number(c), "token_unreadable"),
    ("unsigned", unsigned, "token_algorithm"),
    ("unsigned, spelled otherwise", lambda c: unsigned(c, "nOnE"), "token_algorithm"),
    ("signature left away", lambda c: signed(c).rpartition(".")[0] + ".", "token_signature"),
    ("HS256 with the public key", hmac_signed, "token_algorithm"),
    ("another's key under our name", lambda c: signed(c, key=OTHER_KEY), "token_signature"),
    ("an unknown key", lambda c: signed(c, key=OTHER_KEY, kid="k9"), "token_signature"),
    (
        "a key that the token brings",
        lambda c: signed(c, key=OTHER_KEY, kid=None, jwk=jwk(OTHER_KEY)),
        "token_signature",
    ),
    ("an algorithm that is not accepted", lambda c: signed(c, alg="RS512"), "token_algorithm"),
    ("an access token", lambda c: signed(c, typ="at+jwt"), "token_kind"),
    ("a log-out token", lambda c: signed(c, typ="logout+jwt"), "token_kind"),
    ("something critical", lambda c: signed(c, crit=["b64"], b64=True), "token_unreadable"),
    ("other words under a good signature", tampered, "token_signature"),
    ("another's access token", lambda c: signed({**c, "at_hash": half_hash("another")}), "token_access"),
    ("no second factor", lambda c: signed({**c, "amr": ["pwd"]}), "second_factor"),
    ("methods as a text", lambda c: signed({**c, "amr": "otp"}), "second_factor"),
    ("no methods", lambda c: signed({k: v for k, v in c.items() if k != "amr"}), "second_factor"),
    ("no token", lambda c: "", "token_unreadable"),
    ("no token at all", lambda c: "a.b.c", "token_unreadable"),
    ("too long", lambda c: signed({**c, "more": "x" * 40_000}), "token_unreadable"),
]


def tampered_number(claims: Json) -> str:
    return jwt.PyJWS().encode(json.dumps({**claims, "sub": 7}).encode(), KEY, "RS256", headers={"kid": "k1"})


class HostileProvider:
    """`mint` makes the ID token from the right claims; `answer` may replace the whole answer of the token endpoint."""

    def __init__(self, folder: Path, callback: str) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._callback = callback
        self._nonces: dict[str, str] = {}
        self.reset()

    def reset(self) -> None:
        self.mint: Callable[[Json], str] = signed
        self.keys: list[Json] = [jwk(KEY)]
        self.answer: Callable[[Json], Json] = lambda answer: answer
        self.asked: list[dict[str, str]] = []

    def control(self, **memory: Any) -> None:
        """The real one's way; nothing to do here."""

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def described(self) -> Json:
        ways = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        return {"issuer": self.issuer, **{name: self.issuer + path for name, path in ways.items()}}

    def back(self, question: dict[str, str]) -> str:
        """Nobody is asked: whoever comes is sent back at once."""
        code = f"code-{len(self._nonces)}"
        self._nonces[code] = question["nonce"]
        return f"{self._callback}?{urlencode({'code': code, 'state': question['state']})}"

    def tokens(self, question: dict[str, str]) -> Json:
        self.asked.append(question)
        nonce = self._nonces.get(question.get("code", ""), "")
        answer = {"access_token": ACCESS, "token_type": "Bearer", "expires_in": 300, "refresh_token": "r-1"}
        return self.answer({**answer, "id_token": self.mint(good(self.issuer, nonce))})


def handler(provider: HostileProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            if path == "/auth":
                self.send_response(302)
                self.send_header("Location", provider.back({name: value[0] for name, value in query.items()}))
                self.end_headers()
                return
            self._send(provider.described() if path.endswith("openid-configuration") else {"keys": provider.keys})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._send(provider.tokens({name: value[0] for name, value in parse_qs(text).items()}))

        def _send(self, answer: Json) -> None:
            status = answer.pop("status", 200)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler
