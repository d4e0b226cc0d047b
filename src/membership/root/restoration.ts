import { X509Certificate } from 'node:crypto'
import { readRegularFile } from '../../file-system/files/regular-file.js'
import { purposeOf } from '../../keys/certificates/certificate-purpose.js'
import { keyHashOfCertificate } from '../../keys/signatures/key-hash.js'
import { parseNodesList } from '../../tree/import/nodes-list.js'
import { ROOT_ID } from '../../values/ids.js'
import { memberCertificate } from '../certificates.js'
import type { Member, MemberCertificate } from '../members.js'
import { readIfThere } from '../setup/edit-files.js'
import { type ExistingTree, readExistingTree } from './adopt-existing-tree.js'

export interface FormerTree {
  readonly nodesListFile: string
  readonly nodesCertsFile: string
  /** The root's own. */
  readonly certificateFile: string
  readonly nowMs: number
}

/**
 * The members of a root whose database is gone, as its nodes list and certificates have them: the root too.
 * @throws {Error} saying what is wrong with which file
 */
export async function readFormerMembers(files: FormerTree): Promise<ExistingTree> {
  const { nodesListFile, certificateFile, nowMs } = files
  const nodesCertsFile = (await readIfThere(files.nodesCertsFile)) === undefined ? undefined : files.nodesCertsFile
  const { members, certificates } = await readExistingTree(nodesListFile, nodesCertsFile, nowMs)
  const text = (await readRegularFile(nodesListFile)).toString('utf8')
  const ports = portsIn(text)
  const root = parseNodesList(text, nodesListFile).nodes.find(({ id }) => id === ROOT_ID)
  if (root === undefined)
    throw new Error(`${nodesListFile}: it has no ${ROOT_ID}, so it is not that of a tree of members`)
  const own = memberCertificate(ROOT_ID, new X509Certificate(await readRegularFile(certificateFile)).raw)
  const newest = newestIssued([...certificates, own])
  const { hostname, keyHash = '' } = root
  const bare = { id: ROOT_ID, policyServer: ROOT_ID, hostname, keyHash, tokenId: undefined, joinedAtMs: nowMs } as const
  const complete = (member: Member): Member => {
    const certificate = newest.get(member.id)
    const port = ports.get(member.id)
    const purpose = certificate === undefined ? undefined : purposeOf(certificate.der)
    return {
      ...member,
      kind: purpose ?? (port === undefined ? member.kind : 'relay'),
      port,
      tlsKeyHash: certificate === undefined ? undefined : keyHashOfCertificate(certificate.der)
    }
  }
  return {
    members: [{ ...bare, kind: 'relay', port: undefined, tlsKeyHash: undefined } as const, ...members].map(complete),
    certificates: [...certificates, own]
  }
}

/** The newest certificates that the root of the tree issued: the holder of such a key may renew it. */
function newestIssued(certificates: readonly MemberCertificate[]): ReadonlyMap<string, MemberCertificate> {
  const newest = new Map<string, MemberCertificate>()
  for (const certificate of certificates) {
    const { memberId, notBeforeMs, der } = certificate
    if (purposeOf(der) === undefined) continue
    if ((newest.get(memberId)?.notBeforeMs ?? Number.NEGATIVE_INFINITY) <= notBeforeMs)
      newest.set(memberId, certificate)
  }
  return newest
}

/** The ports of relays, as the root writes them into its list. */
function portsIn(text: string): ReadonlyMap<string, number> {
  const list: unknown = JSON.parse(text)
  const entries = typeof list === 'object' && list !== null ? Object.entries(list) : []
  return new Map(
    entries.flatMap(([id, node]: [string, unknown]) => {
      const port = typeof node === 'object' && node !== null && 'port' in node ? node.port : undefined
      return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536
        ? [[id, port] as const]
        : []
    })
  )
}
