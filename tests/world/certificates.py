"""Certificates for the tests: an authority of their own, and servers that are as they should be, expired, and somebody else's."""

import pathlib
import subprocess

#: Name: the names that the certificate is for, and for how many days from today.
KINDS = {
    "good": ("DNS:localhost,IP:127.0.0.1", 2),
    "expired": ("DNS:localhost,IP:127.0.0.1", -1),
    "foreign": ("DNS:elsewhere.example", 2),
}


def make(folder):
    """Writes `ca.pem`, and `KIND.pem` and `KIND.key` for each kind."""
    folder = pathlib.Path(folder)

    def openssl(*arguments):
        command = ["openssl", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=authority of a test")
    for name, (names, days) in KINDS.items():
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-days", days, "-out", f"{name}.pem")
