import type { Revocations } from '../../src/hops/revocations.js'
import { RevocationBook } from '../../src/membership/revocation-book.js'
import { formatList } from '../../src/membership/revocation-list.js'
import { makeAuthority, openAuthority } from '../../src/membership/root/certificate-authority.js'
import { silentLogger } from '../../src/values/logger.js'

/** A list of revoked certificates that grows. @param file where it is kept */
export async function makeRevocations(
  file: string
): Promise<{ revocations: Revocations & RevocationBook; revoke(id: string, fingerprint: string): Promise<void> }> {
  const authority = openAuthority(await makeAuthority('Test CA', Date.now()))
  const book = new RevocationBook({ file, ca: async () => authority.certificate, logger: silentLogger })
  return {
    revocations: book,
    revoke: async (id, fingerprint) => {
      const entries = [...book.list.entries, { id, fingerprint, untilMs: 1 }]
      entries.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
      await book.take(formatList({ number: book.list.number + 1, entries }, text => authority.sign(text)))
    }
  }
}
