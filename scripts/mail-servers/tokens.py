"""Access tokens as JWT (RFC 7519), signed with a key that Dovecot knows."""
import base64, hashlib, hmac, json, time

KEY = b"a key of this run, for HMAC with SHA-256"
ISSUER = "https://login.example.com"


def token(user, life, issuer=ISSUER):
    """A token for this user. It expires in `life` seconds, or has expired."""
    now = time.time()
    claims = {"sub": user, "iss": issuer, "iat": int(now) - 3600, "exp": int(now + life)}
    signed = f'{encode({"alg": "HS256", "typ": "JWT"})}.{encode(claims)}'
    return f"{signed}.{text(hmac.digest(KEY, signed.encode(), hashlib.sha256))}"


def encode(value):
    return text(json.dumps(value).encode())


def text(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
