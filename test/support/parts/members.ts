import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { makeRequest } from '../../../src/membership/certificate-request.js'
import { memberCertificate } from '../../../src/membership/certificates.js'
import type { JoinRequest, TokenAsked } from '../../../src/membership/member-types.js'
import {
  type CertificateAuthority,
  makeAuthority,
  openAuthority
} from '../../../src/membership/root/certificate-authority.js'
import type { MemberRepository } from '../../../src/membership/root/member-repository.js'
import { RootMembership, type RootMembershipOptions } from '../../../src/membership/root/root-membership.js'
import { publicKeyOf } from '../../../src/membership/setup/member-folder.js'
import { createMemberRepository } from '../../../src/storage/sqlite/sqlite-members.js'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { RelayError, type RelayErrorCode } from '../../../src/values/failures/relay-error.js'
import { temporaryFolder } from '../machine/treeline-command.js'

export const DAY_MS = 24 * 3_600_000
/** The lifetime of all certificates that {@link startMembers} issues. */
export const LIFETIME_MS = 90 * DAY_MS

export const GRACE_MS = 30 * DAY_MS

export interface Members {
  readonly repository: MemberRepository
  readonly authority: CertificateAuthority
  readonly members: RootMembership
  /** EC P-256, of the root's certificate. */
  readonly rootKey: KeyObject
  /** How often the tree was made anew. */
  readonly published: () => number
  /** Whether the tree cannot be written; for the test to set. */
  readonly disk: { isFull: boolean }
  /** Ids that are said to be in the tree; for the test to fill. */
  readonly inTree: Set<string>
  /** The membership after another start of the root, with the same database. */
  startAgain(): RootMembership
  /** A clock that the test moves. */
  readonly clock: { nowMs: number; uptimeMs: number }
  /** A token's proof: what is sent. */
  token(asked?: Partial<TokenAsked>): Promise<string>
}

/** For a root that is made: its members, in the folder given. */
export function openMembers(storagePath: string) {
  const database = openDatabase(join(storagePath, 'state.db'), 'state')
  return { repository: createMemberRepository(database), close: () => void database.close() }
}

/** The membership of a root, with a database and a CA of its own, and no tree to publish to. */
export async function startMembers(t: TestContext): Promise<Members> {
  const db = openDatabase(join(await temporaryFolder(t), 'state.db'), 'state')
  t.after(() => db.close())
  const repository = createMemberRepository(db)
  const clock = { nowMs: Date.parse('2026-01-01T00:00:00Z'), uptimeMs: 3_600_000 }
  const now = () => clock.nowMs
  const authority = openAuthority(await makeAuthority('Test CA', now()))
  let published = 0
  let isBehind = false
  const disk = { isFull: false }
  const publish = async () => {
    isBehind = disk.isFull
    if (disk.isFull) throw new Error('the disk is full')
    published += 1
  }
  const inTree = new Set<string>()
  const startAgain = () => new RootMembership(options)
  const options: RootMembershipOptions = {
    repository,
    authority,
    catchUp: () => (isBehind ? publish() : Promise.resolve()),
    isInTree: id => inTree.has(id),
    publish,
    lifetimeMs: () => LIFETIME_MS,
    graceMs: () => GRACE_MS,
    logger: pino({ level: 'silent' }),
    now,
    uptime: () => clock.uptimeMs
  }
  const members = startAgain()
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = publicKeyOf(privateKey)
  const hostnames = ['root.example', 'other.example']
  const issued = { id: 'root', purpose: 'relay', hostnames, publicKey, nowMs: now(), lifetimeMs: LIFETIME_MS } as const
  const root = {
    id: 'root',
    kind: 'relay',
    policyServer: 'root',
    hostname: 'root.example',
    port: 443,
    keyHash: '',
    tlsKeyHash: createHash('sha256').update(publicKey).digest(),
    tokenId: undefined,
    joinedAtMs: now()
  } as const
  const own = memberCertificate('root', await authority.issue(issued))
  await repository.addMembers({ members: [root], certificates: [own] })
  const defaults = { kind: 'relay', policyServer: 'root', memberId: undefined, uses: 1, lifetimeMs: 3_600_000 } as const
  return {
    repository,
    authority,
    members,
    rootKey: privateKey,
    published: () => published,
    disk,
    inTree,
    startAgain,
    clock,
    token: async asked => {
      const { token } = await members.createToken({ ...defaults, ...asked })
      return token.slice(0, token.lastIndexOf('.'))
    }
  }
}

export interface Machine {
  readonly tls: KeyObject
  readonly signing: KeyObject
}

export function makeMachine(): Machine {
  return {
    tls: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    signing: generateKeyPairSync('ed25519').privateKey
  }
}

/** The request that `treeline join` would send. */
export async function joinRequest(
  token: string,
  id: string,
  machine: Machine = makeMachine(),
  changes: Partial<JoinRequest> = {}
): Promise<JoinRequest> {
  const request = await makeRequest(id, machine.tls)
  return {
    token,
    id,
    hostname: `${id}.example`,
    port: 443,
    request,
    signingKey: publicKeyOf(machine.signing),
    signingProof: sign(null, request, machine.signing),
    ...changes
  }
}

export function refused(code: RelayErrorCode, message: RegExp) {
  return (error: unknown) => error instanceof RelayError && error.code === code && message.test(error.message)
}

/** Lets a new machine join with a token of its own. */
export async function joinAs(root: Members, id: string, asked: Parameters<Members['token']>[0] = {}) {
  const machine = makeMachine()
  const answer = await root.members.join(await joinRequest(await root.token(asked), id, machine))
  return { ...answer, machine, serial: new X509Certificate(answer.certificate).serialNumber }
}
