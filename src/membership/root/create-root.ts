import { join } from 'node:path'
import { findItself } from '../../file-system/files/if-there.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { formatCertificate } from '../../keys/certificates/pem.js'
import { formatKeyHash, keyHashOf } from '../../keys/signatures/key-hash.js'
import { STORAGE_MODE, storageFolder } from '../../storage/folders/folder-kinds.js'
import { takeFolders } from '../../storage/folders/own-folder.js'
import { ROOT_ID } from '../../values/ids.js'
import { memberCertificate } from '../certificates.js'
import type { Member } from '../members.js'
import { LOGGING_CONF, mainConf, type PublicAddress } from '../setup/config-templates.js'
import type { DataFolders } from '../setup/data-folders.js'
import { FILES, openKeys, publicKeyOf, writeFiles, writeSecret } from '../setup/member-folder.js'
import { systemdUnit, unitName } from '../setup/systemd-unit.js'
import type { ExistingTree } from './adopt-existing-tree.js'
import { makeAuthority, openAuthority } from './certificate-authority.js'
import type { MemberRepository } from './member-repository.js'
import { writeTreeFiles } from './publication.js'

export interface NewRoot {
  readonly folder: string
  /** The addresses at which others reach it; the first one is told to those who join. */
  readonly addresses: readonly [PublicAddress, ...PublicAddress[]]
  readonly listen: string
  readonly lifetimeMs: number
  /** A tree that exists already. */
  readonly takenOver: ExistingTree | undefined
  readonly data: DataFolders
  /** The command that runs the agent of this machine. */
  readonly command: string
  readonly program: readonly string[]
  readonly user: string
  readonly openRepository: OpenRepository
  readonly nowMs: number
}

/** Opens the members in the folder `storage.path`. To be closed. @throws {Error} when that cannot be done */
export type OpenRepository = (storagePath: string) => { readonly repository: MemberRepository; close(): void }

/** The problem of a file in `folder` that a new root would replace; undefined where there is none. */
export async function formerRoot(folder: string): Promise<string | undefined> {
  for (const name of ['main.conf', FILES.caKey, FILES.ca]) {
    const path = join(folder, name)
    const found = await findItself(path)
    if (found === undefined) continue
    return found.isFile() && found.size === 0
      ? `${path} is there already, and empty, as after an interruption: remove it, and run this again`
      : `${path} is there already: choose another --dir, or move away what is in it`
  }
  return undefined
}

const UNIT = { command: 'serve', id: ROOT_ID } as const

/**
 * Makes everything that the root of a new tree needs, in one folder. `main.conf` is written last: a folder that has
 * one is complete.
 * @throws {Error} when there is one already
 */
export async function createRoot(root: NewRoot): Promise<void> {
  const { folder, addresses, listen, lifetimeMs, takenOver, data, command, nowMs } = root
  const [{ hostname, port }] = addresses
  makeFolder(folder)
  const former = await formerRoot(folder)
  if (former !== undefined) throw new Error(former)
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
    keyHash: formatKeyHash(publicKeyOf(keys.signing)),
    tlsKeyHash: keyHashOf(publicKey),
    tokenId: undefined,
    joinedAtMs: nowMs
  } as const
  const { storage } = data
  makeFolder(storage)
  makeFolder(data.sharedFolder)
  await writeMembers(root, member, der)
  await writeFiles(folder, {
    [FILES.ca]: pem.certificate,
    [FILES.certificate]: formatCertificate(der),
    [unitName(UNIT)]: systemdUnit({ ...root, ...UNIT }),
    'logging.conf': LOGGING_CONF
  })
  await writeSecret(join(folder, FILES.caKey), pem.key)
  const isTakenOver = takenOver !== undefined
  const conf = mainConf({ id: ROOT_ID, listen, port, upstream: undefined, data, command, isTakenOver })
  await writeFiles(folder, { 'main.conf': conf })
}

/**
 * @param der the certificate of `member`
 * @throws {Error} when the folder is that of another node or has members, or a relay is at work in it
 */
async function writeMembers({ data, takenOver, openRepository, nowMs }: NewRoot, member: Member, der: Buffer) {
  const { storage } = data
  const giveBack = takeFolders(member.id, [storageFolder(storage, STORAGE_MODE)])
  try {
    const { repository, close } = openRepository(storage)
    try {
      const present = await repository.memberCount()
      if (present > 0) {
        throw new Error(
          `${storage} has members of another root, or of an init that was interrupted (${present}): choose another --data, or move it away`
        )
      }
      const { members = [], certificates = [] } = takenOver ?? {}
      const own = memberCertificate(ROOT_ID, der)
      await repository.addMembers({ members: [member, ...members], certificates: [own, ...certificates] })
      const tree = join(storage, 'tree')
      const files = { nodesListFile: join(tree, 'nodeslist.json'), nodesCertsFile: join(tree, 'allnodescerts.pem') }
      await writeTreeFiles(repository, files, nowMs)
    } finally {
      close()
    }
  } finally {
    giveBack()
  }
}
