import { readFileOrPipe } from '../../file-system/files/regular-file.js'
import { readIdentity } from '../../tree/import/certificate-identity.js'
import { parseCertificates } from '../../tree/import/certificates-list.js'
import { parseNodesList } from '../../tree/import/nodes-list.js'
import { ROOT_ID } from '../../values/ids.js'
import { memberCertificate } from '../certificates.js'
import type { Member, MemberCertificate } from '../members.js'

/** Members of a tree that existed before, with the certificates that they have. */
export interface ExistingTree {
  readonly members: readonly Member[]
  readonly certificates: readonly MemberCertificate[]
}

/**
 * Reads a tree that is in the two files of an existing root. Its root is left out, since the new one takes its place.
 * @throws {Error} saying what is wrong with which file
 */
export async function readExistingTree(
  nodesListFile: string,
  nodesCertsFile: string | undefined,
  nowMs: number
): Promise<ExistingTree> {
  const { nodes } = parseNodesList((await readFileOrPipe(nodesListFile)).toString('utf8'), nodesListFile)
  const ids = new Set(nodes.map(({ id }) => id))
  const relays = new Set(nodes.map(({ policyServer }) => policyServer))
  for (const { id, policyServer } of nodes) {
    if (policyServer === ROOT_ID || ids.has(policyServer)) continue
    throw new Error(`${nodesListFile}: the policy server of ${id}, ${policyServer}, is not in it`)
  }
  const members = nodes
    .filter(({ id }) => id !== ROOT_ID)
    .map(({ id, hostname, policyServer, keyHash }): Member => {
      const kind = relays.has(id) ? 'relay' : 'node'
      const joined = { port: undefined, tlsKeyHash: undefined, tokenId: undefined, joinedAtMs: nowMs }
      return { id, kind, policyServer, hostname, keyHash: keyHash ?? '', ...joined }
    })
  const pem = nodesCertsFile === undefined ? Buffer.alloc(0) : await readFileOrPipe(nodesCertsFile)
  const known = new Map<string, MemberCertificate>()
  for (const { der, fingerprint } of parseCertificates(pem, nodesCertsFile ?? '')) {
    const [id, ...others] = readIdentity(der).userIds
    if (id === undefined || others.length > 0 || id === ROOT_ID || !ids.has(id)) continue
    known.set(fingerprint.toString('hex'), memberCertificate(id, der))
  }
  return { members, certificates: [...known.values()] }
}
