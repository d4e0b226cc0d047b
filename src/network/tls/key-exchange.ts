import tls from 'node:tls'

/** Elliptic curves that take some milliseconds at most. P-521 takes twice as long as P-384, and nobody asks for it alone. */
const CURVES = 'X25519:P-256:P-384'
/** The same behind ML-KEM, and a key share of both kinds, as OpenSSL sends it since 3.5. */
const WITH_ML_KEM = `?*X25519MLKEM768:*${CURVES}`

/**
 * Sets the groups and ciphers of all TLS connections of this process, both ways, that name none themselves. OpenSSL
 * would take finite fields of 8,192 bits too: 0.15 s of the event loop for a recorded ClientHello that is sent again, or
 * for a server that asks for one.
 */
export function limitKeyExchange(): void {
  // Groups are not tried out: an unknown one leaves an error behind in OpenSSL, which the next key that is read would get.
  const [major = 0, minor = 0] = process.versions.openssl.split('.').map(Number)
  tls.DEFAULT_ECDH_CURVE = major > 3 || (major === 3 && minor >= 5) ? WITH_ML_KEM : CURVES
  tls.DEFAULT_CIPHERS += ':!kDHE' // the same in TLS 1.2, which a proxy or the URL of a client may have
}
