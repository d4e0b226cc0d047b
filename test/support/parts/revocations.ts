import { RevocationBook } from '../../../src/membership/revocations/revocation-book.js'
import { formatRevocationList } from '../../../src/membership/revocations/revocation-list.js'
import { makeAuthority, openAuthority } from '../../../src/membership/root/certificate-authority.js'
import { silentLogger } from '../../../src/values/logging/logger.js'

/** A list of revoked certificates that grows. @param file where it is kept */
export async function makeRevocations(file: string): Promise<{
  readonly revocations: RevocationBook
  revoke(id: string, ...fingerprints: string[]): Promise<void>
  /** A book of another machine of that tree. */
  another(at: string): RevocationBook
}> {
  const authority = openAuthority(await makeAuthority('Test CA', Date.now()))
  const another = (at: string) =>
    new RevocationBook({ file: at, ca: async () => authority.certificate, logger: silentLogger })
  const book = another(file)
  return {
    revocations: book,
    another,
    revoke: async (id, ...fingerprints) => {
      const added = fingerprints.map(fingerprint => ({ id, fingerprint, untilMs: 1 }))
      const entries = [...book.list.entries, ...added]
      entries.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
      await book.take(formatRevocationList({ number: book.list.number + 1, entries }, text => authority.sign(text)))
    }
  }
}
