import { dirname, join } from 'node:path'
import type { Config } from '../../config/config.js'
import { readTextFileSync } from '../../file-system/files/text-file.js'
import type { Neighbours } from '../../hops/hop.js'
import { treeAudience } from '../../keys/tokens/token-key.js'
import { createJoinProxy } from '../../membership/join-proxy.js'
import { CertificateRenewal } from '../../membership/member/certificate-renewal.js'
import { readTreeCas, sortPolicyServerCertificates } from '../../membership/member/issued-certificates.js'
import type { JoinAnswer, Joining } from '../../membership/member-types.js'
import {
  createConfirmingProxy,
  createRootConfirming,
  type ListConfirming
} from '../../membership/revocations/list-confirming.js'
import type { Freshness } from '../../membership/revocations/list-freshness.js'
import type { RevocationBook } from '../../membership/revocations/revocation-book.js'
import { type CertificateAuthority, openAuthority } from '../../membership/root/certificate-authority.js'
import { ExpiryWatch } from '../../membership/root/expiry.js'
import { createCallerIssuing, type IssueToCaller } from '../../membership/root/issue-to-caller.js'
import { Publication } from '../../membership/root/publication.js'
import { RevocationPublication } from '../../membership/root/revocation-publication.js'
import { RootMembership } from '../../membership/root/root-membership.js'
import { TokenKeys } from '../../membership/root/token-keys.js'
import { writeAtomically } from '../../membership/setup/edit-files.js'
import { FILES } from '../../membership/setup/member-folder.js'
import type { Repositories } from '../../storage/repositories/repositories.js'
import type { Tree } from '../../tree/tree-service.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { errorCode } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'
import { caFileIn } from './open-revocations.js'

/** The time between two requests for data beside the own certificate, such as that of the policy server. */
const ASK_EVERY_MS = 24 * 3_600_000

/** The folder of the private keys of tokens, in `storage.path`. */
const TOKEN_KEYS = 'token-keys'

/** The failures of a disk that pass by. */
const OF_DISK: readonly string[] = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']

/** The refused certificates of an answer that the log names. */
const MAX_TOLD = 3

export interface MembershipOptions {
  readonly config: () => Config
  readonly tree: Tree
  readonly neighbours: Neighbours
  readonly repositories: Pick<Repositories, 'members'>
  /** Undefined where no list of revoked certificates counts. */
  readonly revocations: RevocationBook | undefined
  readonly freshness: Freshness
  /** Called when certificates that this relay uses have changed on disk. */
  readonly certificatesChanged: () => Promise<void>
  readonly logger: Logger
}

export interface Membership {
  /** Undefined at a root whose tree is not that of its members. */
  readonly joining: Joining | undefined
  /** The members, at the root of a tree of members alone. */
  readonly members: RootMembership | undefined
  /** The keys that sign tokens, at the root of a tree of members alone. */
  readonly tokenKeys: TokenKeys | undefined
  /** Issues certificates to callers; undefined where {@link tokenKeys} is. */
  readonly issueToCaller: IssueToCaller | undefined
  /** Has the root confirm which list of revocations is the newest; undefined as `joining` is. */
  readonly confirming: ListConfirming | undefined
  /** The root's answer about this relay; undefined where it is the root, or did not join. */
  ask(signal: AbortSignal): Promise<JoinAnswer | undefined>
  /** Makes the tree what the members are: after a crash it may be one step behind. */
  recover(): Promise<void>
  /** Why changes of the members are not in the tree; undefined while they are. */
  problem(): string | undefined
  start(): void
  stop(): Promise<void>
}

/** Joining the tree, and staying in it. @throws {Error} when the root's CA cannot be read */
export function createMembership(options: MembershipOptions): Membership {
  const { config, neighbours } = options
  const { tree, upstream, general } = config()
  if (tree.source === 'members') return createAtRoot(options)
  if (upstream === undefined) return { joining: undefined, members: undefined, confirming: undefined, ...NOTHING }
  const joining = createJoinProxy(neighbours, general.nodeId)
  const renewal = renewalOf(options, (request, signal) => joining.renew(request, { passed: [], signal }), {
    askEveryMs: ASK_EVERY_MS,
    onAnswer: answer => rememberPolicyServer(config(), answer, options.logger)
  })
  const confirming = createConfirmingProxy(neighbours, general.nodeId)
  return { joining, members: undefined, confirming, ...NOTHING, ...(renewal ?? {}) }
}

const NOTHING = {
  tokenKeys: undefined,
  issueToCaller: undefined,
  ask: async () => undefined,
  recover: async () => undefined,
  problem: () => undefined,
  start: () => undefined,
  stop: async () => undefined
}

function createAtRoot(options: MembershipOptions): Membership {
  const { config, tree, repositories, revocations: book, freshness, logger } = options
  const { nodesListFile, nodesCertsFile } = config().general
  const { caFile, caKeyFile } = config().tree
  const now = Date.now
  const repository = repositories.members
  const reload = async () => {
    const { details, isOfDisk } = await tree.reload()
    if (isOfDisk && details !== undefined) throw new RelayError('STORAGE_UNUSABLE', details)
    return details
  }
  const authority = openNamed(caFile, caKeyFile)
  const revocations =
    book === undefined ? undefined : new RevocationPublication({ repository, authority, book, logger, now })
  book?.onChange(() => revocations?.correct())
  const published = revocations === undefined ? {} : { revocations }
  const publication = new Publication({ repository, nodesListFile, nodesCertsFile, reload, ...published, now })
  const publish = () => publication.publish()
  const lifetimeMs = () => config().tree.certificateLifetimeMs
  const graceMs = () => config().tree.renewalGraceMs
  const members = new RootMembership({
    repository,
    authority,
    publish,
    catchUp: () => publication.catchUp(),
    isInTree: id => tree.current().find(id) !== undefined,
    lifetimeMs,
    graceMs,
    logger,
    now
  })
  const renewal = renewalOf(options, request => members.renew(request), {})
  const isBehind = () => publication.isBehind()
  const forget = () => members.forget()
  const expiry = new ExpiryWatch({ repository, publish, forget, isBehind, logger, now })
  const tokenKeys =
    revocations === undefined || book === undefined
      ? undefined
      : new TokenKeys({
          folder: join(config().storage.path, TOKEN_KEYS),
          audience: treeAudience(authority.der),
          publication: revocations,
          book,
          logger,
          now: () => freshness.time()?.latestMs ?? now()
        })
  return {
    joining: members,
    members,
    tokenKeys,
    issueToCaller: book && createCallerIssuing(authority, logger, now),
    confirming: book && createRootConfirming(book, freshness, text => authority.sign(text)),
    ask: NOTHING.ask,
    recover: () =>
      publish().catch((err: unknown) => {
        if (!isOfDisk(err) || tree.current().size === 0) throw err
        logger.error({ err }, 'cannot publish the tree; trying again') // the tree that is there serves meanwhile
      }),
    problem: () => publication.problem,
    start: () => {
      renewal?.start()
      expiry.start()
    },
    stop: async () => {
      await Promise.all([renewal?.stop(), expiry.stop()])
    }
  }
}

/** Whether a disk was full or had a fault: what was to be written can be written later. */
function isOfDisk(error: unknown): boolean {
  const isOfStorage = error instanceof RelayError && error.code === 'STORAGE_UNUSABLE'
  return isOfStorage || OF_DISK.includes(errorCode(error) ?? '')
}

/** Undefined where this relay has no certificate. */
function renewalOf(
  { config, certificatesChanged, logger }: MembershipOptions,
  renew: (request: Buffer, signal: AbortSignal) => Promise<JoinAnswer>,
  more: { readonly askEveryMs?: number; readonly onAnswer?: (answer: JoinAnswer) => Promise<boolean> }
): Pick<Membership, 'ask' | 'start' | 'stop'> | undefined {
  const { httpsCertificateFile: certificateFile, httpsKeyFile: keyFile } = config().general
  if (certificateFile === undefined || keyFile === undefined) return undefined
  const renewal = new CertificateRenewal({
    certificateFile,
    keyFile,
    // whatever the neighbours are known by: the CA says who may renew this certificate
    caFiles: () => [caFileIn(config()) ?? [], config().general.caPath ?? []].flat(),
    renew,
    onAnswer: async (answer, isNew) => {
      let isOther = false
      try {
        isOther = (await more.onAnswer?.(answer)) ?? false
      } finally {
        if (isNew || isOther) await certificatesChanged() // the own one counts whatever else fails
      }
    },
    ...(more.askEveryMs === undefined ? {} : { askEveryMs: more.askEveryMs }),
    logger
  })
  return { ask: signal => renewal.ask(signal), start: () => renewal.start(), stop: () => renewal.stop() }
}

/**
 * Writes the policy server's certificates, by which this relay knows it as a caller. With pinning, the file is the
 * operator's own. The answer passed relays, which may have put in what they like: certificates that the CA of the tree
 * did not issue for this policy server are left out, and logged. Without any other, the former ones stay.
 * @returns whether they changed
 */
export async function rememberPolicyServer(config: Config, answer: JoinAnswer, logger: Logger): Promise<boolean> {
  const { upstream, general } = config
  const file = upstream?.serverCertificateFile
  if (file === undefined || general.peerAuthentication !== 'cert_validation') return false
  const { id, certificates } = answer.policyServer
  // another one becomes the policy server once a link to it stands, or by hand: until then it is none
  if (certificates === '' || (upstream?.nodeId !== undefined && upstream.nodeId !== id)) return false
  const beside =
    general.httpsCertificateFile === undefined ? [] : [join(dirname(general.httpsCertificateFile), FILES.ca)]
  const cas = await readTreeCas([caFileIn(config) ?? [], beside].flat())
  const { accepted, refused } = sortPolicyServerCertificates({ id, certificates }, cas, Date.now())
  for (const { fingerprint, reason } of refused.slice(0, MAX_TOLD)) {
    logger.error(
      { policyServer: id, fingerprint, reason, file },
      'refused a certificate that was given for the policy server'
    )
  }
  return accepted === '' ? false : writeAtomically(file, accepted)
}

function openNamed(caFile: string, caKeyFile: string): CertificateAuthority {
  const pem = { certificate: readNamed(caFile, 'tree.ca_file'), key: readNamed(caKeyFile, 'tree.ca_key_file') }
  return openAuthority(pem, { cert: `tree.ca_file ${caFile}`, key: `tree.ca_key_file ${caKeyFile}` })
}

function readNamed(file: string, setting: string): string {
  try {
    return readTextFileSync(file)
  } catch (error) {
    const why = whyNotRead(error)
    throw new Error(`${setting} ${file} cannot be read (treeline init makes it): ${why}`, { cause: error })
  }
}
