import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openDatabase } from '../storage/database.js'
import { createMemberStore } from '../storage/member-store.js'
import { makeAuthority, openAuthority } from './certificate-authority.js'
import { certificateRow, formatCertificate } from './certificates.js'
import { makeFolder, readIfThere } from './files.js'
import { FILES, openKeys, publicKeyOf, writeFiles, writeSecret } from './folder.js'
import { writeTreeFiles } from './publication.js'
import { ROOT_ID } from './root-membership.js'
import type { TakenOver } from './take-over.js'
import { LOGGING_CONF, mainConf, type PublicAddress, systemdUnit } from './texts.js'

export interface NewRoot {
  readonly folder: string
  /** What others reach it by; the first one is told to those who join. */
  readonly addresses: readonly [PublicAddress, ...PublicAddress[]]
  readonly listen: string
  readonly lifetimeMs: number
  /** A tree that exists already. */
  readonly takenOver: TakenOver | undefined
  /** What runs the agent of this machine. */
  readonly command: string
  readonly program: readonly string[]
  readonly user: string
  readonly nowMs: number
}

/**
 * Makes everything that the root of a new tree needs, in one folder. `main.conf` is written last: a folder that has
 * one is complete.
 * @throws {Error} when there is one already
 */
export async function makeRoot(root: NewRoot): Promise<void> {
  const { folder, addresses, listen, lifetimeMs, takenOver, command, nowMs } = root
  const [{ hostname, port }] = addresses
  await makeFolder(folder)
  for (const name of ['main.conf', FILES.caKey, FILES.ca]) {
    if ((await readIfThere(join(folder, name))) === undefined) continue
    throw new Error(`${join(folder, name)} is there already: choose another folder, or move away what is in it`)
  }
  const pem = await makeAuthority('Treeline CA', nowMs)
  const authority = openAuthority(pem)
  const keys = await openKeys(folder)
  const publicKey = publicKeyOf(keys.tls)
  const hostnames = [...new Set(addresses.map(address => address.hostname))]
  const der = await authority.issue({ id: ROOT_ID, purpose: 'relay', hostnames, publicKey, nowMs, lifetimeMs })
  const member = {
    id: ROOT_ID,
    kind: 'relay',
    policyServer: ROOT_ID,
    hostname,
    port,
    keyHash: `sha256//${createHash('sha256').update(publicKeyOf(keys.signing)).digest('base64')}`,
    tlsKeyHash: createHash('sha256').update(publicKey).digest(),
    tokenId: null,
    joinedAtMs: nowMs
  } as const
  const storage = join(folder, FILES.storage)
  await mkdir(storage, { recursive: true, mode: 0o750 })
  await mkdir(join(folder, FILES.sharedFolder), { recursive: true })
  const database = openDatabase(join(storage, 'state.db'), 'state')
  try {
    const store = createMemberStore(database)
    const { members = [], certificates = [] } = takenOver ?? {}
    store.addMembers([member, ...members], [certificateRow(ROOT_ID, der), ...certificates])
    const tree = join(storage, 'tree')
    const files = { nodesListFile: join(tree, 'nodeslist.json'), nodesCertsFile: join(tree, 'allnodescerts.pem') }
    await writeTreeFiles(store, files, nowMs)
  } finally {
    database.close()
  }
  await writeFiles(folder, {
    [FILES.ca]: pem.certificate,
    [FILES.certificate]: formatCertificate(der),
    [FILES.unit]: systemdUnit({ ...root, command: 'serve' }),
    'logging.conf': LOGGING_CONF
  })
  await writeSecret(join(folder, FILES.caKey), pem.key)
  const isTakenOver = takenOver !== undefined
  const conf = mainConf({ id: ROOT_ID, listen, port, upstream: undefined, command, isTakenOver })
  await writeFiles(folder, { 'main.conf': conf })
}
