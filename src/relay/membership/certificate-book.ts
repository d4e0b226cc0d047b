import { readConfiguredTextSync } from '../../file-system/files/text-file.js'
import { readEveryCertificate } from '../../keys/certificates/certificate-pair.js'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import type { Revocations } from '../../keys/certificates/revocations.js'
import type { KnownCertificates } from '../../tree/known-certificates.js'
import type { Tree } from '../../tree/tree-service.js'

const SETTING = 'output.upstream.server_certificate_file'
export interface CertificateBook extends KnownCertificates {
  /**
   * Reads the policy server's certificate file again; undefined: there is none to read.
   * @returns a function that puts back what was known before
   * @throws {Error} when it cannot be read; what was known before stays
   */
  readPolicyServer(file: string | undefined): () => void
}

export interface CertificateBookOptions {
  readonly tree: Pick<Tree, 'onChange' | 'nodeByFingerprint' | 'certificatesOf'>
  readonly revocations: Revocations
  /** Tells of each change of these. */
  readonly onRevocation: (listener: () => void) => void
}

/** The owners of certificates: the nodes list's, and the policy server. A revoked one is nobody's. */
export function createCertificateBook({ tree, revocations, onRevocation }: CertificateBookOptions): CertificateBook {
  let policyServer: ReadonlySet<string> = new Set()
  let version = 0
  const changed = () => {
    version += 1
  }
  tree.onChange(changed)
  onRevocation(changed)
  const isRevoked = (shown: string) => revocations.whyRevoked(shown) !== undefined

  return {
    nodeOf: shown => (isRevoked(shown) ? undefined : tree.nodeByFingerprint(shown)),
    isPolicyServer: shown => policyServer.has(shown) && !isRevoked(shown),
    of: id => tree.certificatesOf(id).filter(der => !isRevoked(fingerprint(der))),
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
  return readEveryCertificate(readConfiguredTextSync(SETTING, file), `${SETTING} ${file}`).map(({ raw }) =>
    fingerprint(raw)
  )
}
