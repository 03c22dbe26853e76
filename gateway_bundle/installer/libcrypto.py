"""Keys, by the very OpenSSL that Python's own ssl module works with: nothing else has to be installed.

Only functions that OpenSSL has had unchanged from 1.0.2 to 3.x are called. What they return is not freed: the process
that renews a credential ends right after.
"""

import contextlib
import ctypes
import ssl
from typing import Any, Tuple

_RSA = 6
_BITS = b"2048"
_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_FUNCTIONS = {
    "BIO_new": (_POINTER, [_POINTER]),
    "BIO_new_mem_buf": (_POINTER, [_TEXT, _INT]),
    "BIO_read": (_INT, [_POINTER, _TEXT, _INT]),
    "BIO_s_mem": (_POINTER, []),
    "EVP_DigestSignFinal": (_INT, [_POINTER, _TEXT, ctypes.POINTER(ctypes.c_size_t)]),
    "EVP_DigestSignInit": (_INT, [_POINTER, _POINTER, _POINTER, _POINTER, _POINTER]),
    "EVP_DigestUpdate": (_INT, [_POINTER, _TEXT, ctypes.c_size_t]),
    "EVP_PKEY_CTX_ctrl_str": (_INT, [_POINTER, _TEXT, _TEXT]),
    "EVP_PKEY_CTX_new_id": (_POINTER, [_INT, _POINTER]),
    "EVP_PKEY_keygen": (_INT, [_POINTER, ctypes.POINTER(_POINTER)]),
    "EVP_PKEY_keygen_init": (_INT, [_POINTER]),
    "EVP_sha256": (_POINTER, []),
    "PEM_read_bio_PrivateKey": (_POINTER, [_POINTER, _POINTER, _POINTER, _POINTER]),
    "PEM_write_bio_PrivateKey": (_INT, [_POINTER, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _POINTER]),
    "PEM_write_bio_X509_REQ": (_INT, [_POINTER, _POINTER]),
    "X509_REQ_new": (_POINTER, []),
    "X509_REQ_set_pubkey": (_INT, [_POINTER, _POINTER]),
    "X509_REQ_set_version": (_INT, [_POINTER, ctypes.c_long]),
    "X509_REQ_sign": (_INT, [_POINTER, _POINTER, _POINTER]),
}


class CryptoError(Exception):
    """The library cannot be had, or refuses; the text says why."""


class Crypto:
    """The library; raises CryptoError if it cannot be had."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_place())
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(self._library, name)
                function.restype, function.argtypes = result, arguments
            made = next((name for name in ("EVP_MD_CTX_new", "EVP_MD_CTX_create") if hasattr(self._library, name)), "")
            self._new_digest = getattr(self._library, made)
            self._new_digest.restype, self._new_digest.argtypes = _POINTER, []
        except (OSError, AttributeError) as error:
            raise CryptoError(
                "the OpenSSL of this Python (%s) cannot be used: %s" % (ssl.OPENSSL_VERSION, error)
            ) from error

    def request(self) -> Tuple[bytes, bytes]:
        """A new private key, and a request for a certificate for it that it signed; both PEM."""
        call, key = self._call, ctypes.c_void_p()
        context = call("EVP_PKEY_CTX_new_id", _RSA, None)
        call("EVP_PKEY_keygen_init", context)
        call("EVP_PKEY_CTX_ctrl_str", context, b"rsa_keygen_bits", _BITS)
        call("EVP_PKEY_keygen", context, ctypes.byref(key))
        request = call("X509_REQ_new")
        call("X509_REQ_set_version", request, 0, zero=True)
        call("X509_REQ_set_pubkey", request, key)
        call("X509_REQ_sign", request, key, call("EVP_sha256"))
        files = [call("BIO_new", call("BIO_s_mem")) for _ in range(2)]
        call("PEM_write_bio_PrivateKey", files[0], key, None, None, 0, None, None)
        call("PEM_write_bio_X509_REQ", files[1], request)
        return self._content(files[0]), self._content(files[1])

    def signature(self, key: bytes, content: bytes) -> bytes:
        """The signature (RSA with PKCS#1 padding, SHA-256) of the private key `key` (PEM) on `content`."""
        call = self._call
        private = call("PEM_read_bio_PrivateKey", call("BIO_new_mem_buf", key, len(key)), None, None, None)
        context = self._new_digest()
        call("EVP_DigestSignInit", context, None, call("EVP_sha256"), None, private)
        call("EVP_DigestUpdate", context, content, len(content))
        size = ctypes.c_size_t()
        call("EVP_DigestSignFinal", context, None, ctypes.byref(size))
        made = ctypes.create_string_buffer(size.value)
        call("EVP_DigestSignFinal", context, made, ctypes.byref(size))
        return made.raw[: size.value]

    def _call(self, name: str, *arguments: Any, zero: bool = False) -> Any:
        """Call a function; raises CryptoError for what it returns when it fails."""
        result = getattr(self._library, name)(*arguments)
        if (not result and not zero) or (isinstance(result, int) and result < 0):
            raise CryptoError("%s of %s failed" % (name, ssl.OPENSSL_VERSION))
        return result

    def _content(self, file: int) -> bytes:
        found = ctypes.create_string_buffer(1 << 16)
        size = self._call("BIO_read", file, found, len(found))
        return found.raw[:size]


def _place() -> str:
    """The file of the library that Python's ssl module has loaded into this process; raises OSError."""
    with contextlib.suppress(FileNotFoundError), open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")[2]
            if path.rpartition("/")[2].startswith("libcrypto"):
                return "/" + path
    raise OSError("it is no library of its own")
