"""A remote signer with Web3Signer's API, for tests: it signs what it is asked to, without protection against slashing."""

import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import milagro_bls_binding as bls
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from signing_root import signing_root

SIGN = re.compile(r"^/api/v1/eth2/sign/(0x[0-9a-f]{96})$")


def secret_key(keystore, password):
    """The key of an EIP-2335 keystore."""
    crypto = json.loads(keystore.read_text())["crypto"]
    parameters = crypto["kdf"]["params"]
    salt = bytes.fromhex(parameters["salt"])
    if crypto["kdf"]["function"] == "scrypt":
        cost = {"n": parameters["n"], "r": parameters["r"], "p": parameters["p"], "maxmem": 1 << 30}
        key = hashlib.scrypt(password, salt=salt, dklen=parameters["dklen"], **cost)
    else:
        key = hashlib.pbkdf2_hmac("sha256", password, salt, parameters["c"], parameters["dklen"])
    message = bytes.fromhex(crypto["cipher"]["message"])
    if hashlib.sha256(key[16:32] + message).hexdigest() != crypto["checksum"]["message"]:
        raise ValueError(f"{keystore}: the password is wrong")
    cipher = Cipher(algorithms.AES(key[:16]), modes.CTR(bytes.fromhex(crypto["cipher"]["params"]["iv"])))
    return cipher.decryptor().update(message)


def keys_of(validators, secrets):
    """All keys of Lighthouse's two directories, by public key."""
    found = {}
    for directory in sorted(validators.glob("0x*")):
        password = (secrets / directory.name).read_bytes().strip()
        secret = secret_key(directory / "voting-keystore.json", password)
        assert "0x" + bls.SkToPk(secret).hex() == directory.name
        found[directory.name] = secret
    return found


class Signer:
    """Serves until the program ends. `signed` counts the kinds of messages."""

    def __init__(self, keys):
        self.keys = keys
        self.signed = Counter()
        signer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path == "/healthcheck":
                    self.answer(200, b'{"status":"UP","outcome":"UP"}')
                elif self.path == "/api/v1/eth2/publicKeys":
                    self.answer(200, json.dumps(list(signer.keys)).encode())
                else:
                    self.answer(404, b"{}")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = SIGN.match(self.path)
                if asked is None or asked[1] not in signer.keys:
                    self.answer(404, b"{}")
                    return
                signature = bls.Sign(signer.keys[asked[1]], bytes(signing_root(body)))
                signer.signed[body["type"]] += 1
                self.answer(200, b"0x" + signature.hex().encode(), "text/plain")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"
