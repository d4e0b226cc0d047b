import { createHash, X509Certificate } from 'node:crypto'
import type { KnownCertificates } from '../api/services.js'
import type { Tree } from '../tree/tree-service.js'
import { whyNotRead } from '../values/failures/file-failure.js'
import { withoutByteOrderMark } from '../values/files/byte-order-mark.js'
import { readRegularFileSync } from '../values/files/regular-file.js'
import { certificateBlocks } from '../values/keys/pem.js'

const SETTING = 'output.upstream.server_certificate_file'
export interface CertificateBook extends KnownCertificates {
  /**
   * Reads the policy server's certificate file again; undefined: there is none to read.
   * @returns a function that puts back what was known before
   * @throws {Error} when it cannot be read; what was known before stays
   */
  readPolicyServer(file: string | undefined): () => void
}

/** Who holds which certificate: the nodes list's, and the policy server's. */
export function createCertificateBook(tree: Tree): CertificateBook {
  let policyServer: ReadonlySet<string> = new Set()
  let version = 0
  tree.onChange(() => {
    version += 1
  })

  return {
    nodeOf: fingerprint => tree.nodeByFingerprint(fingerprint),
    isPolicyServer: fingerprint => policyServer.has(fingerprint),
    of: id => tree.certificatesOf(id),
    version: () => version,
    readPolicyServer(file) {
      const before = policyServer
      const know = (fingerprints: ReadonlySet<string>) => {
        policyServer = fingerprints
        version += 1
      }
      know(new Set(file === undefined ? [] : readFingerprints(file)))
      return () => know(before)
    }
  }
}

function readFingerprints(file: string): string[] {
  const blocks = certificateBlocks(readText(file))
  if (blocks.length === 0) throw new Error(`${SETTING}: ${file} holds no certificate in PEM form`)
  return blocks.map(pem => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex'))
}

function readText(file: string): string {
  try {
    return withoutByteOrderMark(readRegularFileSync(file).toString('utf8'))
  } catch (error) {
    const why = whyNotRead(error)
    throw new Error(`${SETTING} ${file}: the policy server's certificate cannot be read: ${why}`, { cause: error })
  }
}
