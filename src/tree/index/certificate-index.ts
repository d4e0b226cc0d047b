const FINGERPRINT_BYTES = 32
const EMPTY = -1

/** The owners of certificates, as arrays; see `packed-tree.ts`. */
export interface PackedCertificates {
  /** SHA-256 of each certificate, one after another. */
  readonly fingerprints: Uint8Array<ArrayBuffer>
  /** The position of the node that each one names. */
  readonly owners: Int32Array<ArrayBuffer>
  /** Hash table over the fingerprints, which are their own hash: bucket + 1, or 0 where nothing is. */
  readonly fingerprintTable: Int32Array<ArrayBuffer>
}

/** @param certificates SHA-256 of each certificate, and the position of its node */
export function packCertificates(
  certificates: readonly { readonly fingerprint: Buffer; readonly owner: number }[]
): PackedCertificates {
  const size = 2 ** Math.ceil(Math.log2(2 * certificates.length + 2))
  const fingerprints = new Uint8Array(certificates.length * FINGERPRINT_BYTES)
  const owners = new Int32Array(certificates.length)
  const fingerprintTable = new Int32Array(size)
  for (const [index, { fingerprint, owner }] of certificates.entries()) {
    fingerprints.set(fingerprint, index * FINGERPRINT_BYTES)
    owners[index] = owner
    let bucket = fingerprint.readUInt32LE() & (size - 1)
    while (fingerprintTable[bucket] !== 0) bucket = (bucket + 1) & (size - 1)
    fingerprintTable[bucket] = index + 1
  }
  return { fingerprints, owners, fingerprintTable }
}

/** Looks up, in constant time, whose certificate one is. */
export class CertificateIndex {
  readonly #packed: PackedCertificates
  readonly #fingerprints: Buffer

  constructor(packed: PackedCertificates) {
    this.#packed = packed
    this.#fingerprints = Buffer.from(packed.fingerprints.buffer)
  }

  /**
   * @param fingerprint SHA-256 of the DER, 32 bytes
   * @returns the position of the node that the certificate is listed for
   */
  ownerOf(fingerprint: Buffer): number | undefined {
    if (fingerprint.length !== FINGERPRINT_BYTES) return undefined
    const { fingerprintTable, owners } = this.#packed
    const mask = fingerprintTable.length - 1
    for (let bucket = fingerprint.readUInt32LE() & mask; ; bucket = (bucket + 1) & mask) {
      const index = (fingerprintTable[bucket] ?? 0) - 1
      if (index === EMPTY) return undefined
      const start = index * FINGERPRINT_BYTES
      if (fingerprint.compare(this.#fingerprints, start, start + FINGERPRINT_BYTES) === 0) return owners[index]
    }
  }

  /** The position of its node, and the SHA-256, of every certificate. */
  *entries(): Generator<[owner: number, fingerprint: Buffer]> {
    for (const [index, owner] of this.#packed.owners.entries()) {
      yield [owner, this.#fingerprints.subarray(index * FINGERPRINT_BYTES, (index + 1) * FINGERPRINT_BYTES)]
    }
  }
}
