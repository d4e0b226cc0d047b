import { formatCertificate } from '../../keys/certificates/pem.js'
import { formatKeyHash } from '../../keys/signatures/key-hash.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId, ROOT_ID } from '../../values/ids.js'
import type { Logger } from '../../values/logging/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { type CertificateRequest, readRequest } from '../certificate-request.js'
import { hostnamesOf, memberCertificate } from '../certificates.js'
import type { JoinAnswer, Joining, JoinRequest, RequestWay, TokenAsked, TokenMade } from '../member-types.js'
import type { Member, MemberCertificate } from '../members.js'
import { isDue } from '../renewal-time.js'
import type { CertificateAuthority } from './certificate-authority.js'
import { Forgetting } from './forgetting.js'
import { readHostname } from './joining/host-names.js'
import { checkJoin, checkKind } from './joining/join-checks.js'
import type { JoinRateLimit } from './joining/join-rate-limit.js'
import { checkUsable, makeToken, readToken, relayCalled } from './joining/join-tokens.js'
import { makeRepeatLimit } from './joining/repeat-limit.js'
import { checkTreeConstraints } from './joining/tree-constraints.js'
import type { JoinTokenRecord, MemberRepository } from './member-repository.js'
import { OrderlyChanges } from './orderly-changes.js'

export interface RootMembershipOptions {
  readonly repository: MemberRepository
  readonly authority: CertificateAuthority
  /** Makes what is in the repository the tree. */
  readonly publish: () => Promise<void>
  /** Publishes where something is not in the tree yet. */
  readonly catchUp: () => Promise<void>
  /** Whether the tree as it is has a node. */
  readonly isInTree: (id: string) => boolean
  readonly lifetimeMs: () => number
  /** How long after its end a certificate can still be renewed. */
  readonly graceMs: () => number
  readonly logger: Logger
  readonly now: () => number
  /** In ms, since the machine started. */
  readonly uptime?: () => number
}

/** Changes the members of the tree. At the root alone. */
export class RootMembership implements Joining {
  readonly #changes: OrderlyChanges
  readonly #forgetting: Forgetting
  readonly #repeats: JoinRateLimit

  constructor(private readonly options: RootMembershipOptions) {
    this.#changes = new OrderlyChanges(options.repository)
    this.#forgetting = new Forgetting(options.repository, options.now, options.uptime)
    this.#repeats = makeRepeatLimit(options.uptime)
  }

  async ca(): Promise<string> {
    return this.options.authority.certificate
  }

  /** @throws {RelayError} INVALID_INPUT, UNKNOWN_NODE, CONFLICT, BUSY */
  async createToken(asked: TokenAsked): Promise<TokenMade> {
    const { repository, authority, now, logger } = this.options
    const records = { repository, forgetting: this.#forgetting }
    if (asked.policyServer !== undefined) checkNodeId(asked.policyServer)
    const member = await this.#memberOf(asked)
    const policyServer = asked.policyServer ?? member?.policyServer ?? ROOT_ID
    const made = await makeToken(records, { ...asked, policyServer }, authority.hash, now())
    const { id, kind, uses, expiresAtMs } = made
    logger.info({ tokenId: id, kind, policyServer, uses, expiresAt: isoTime(expiresAtMs) }, 'join token made')
    return { ...made, isOfMember: member !== undefined }
  }

  /**
   * The member that a token is for. One that joins again stays what and where it is: a token that asks for something else
   * is refused.
   */
  async #memberOf({ memberId, kind, policyServer }: TokenAsked): Promise<Member | undefined> {
    if (memberId === undefined) return undefined
    checkNodeId(memberId)
    if (memberId === ROOT_ID) throw new RelayError('CONFLICT', 'the root does not join its own tree')
    const member = await this.options.repository.member(memberId)
    if (member === undefined) return undefined
    checkKind(member, kind)
    if (policyServer !== undefined && policyServer !== member.policyServer) {
      throw new RelayError(
        'CONFLICT',
        `${memberId} is under ${member.policyServer}, where it stays when it joins again: leave --under out, and move it with \`treeline nodes move ${memberId} --under ${policyServer}\``
      )
    }
    return member
  }

  /** Forgets what ended long ago; to be called now and then. */
  forget(): Promise<void> {
    return this.#forgetting.forget()
  }

  tokens(): Promise<JoinTokenRecord[]> {
    return this.options.repository.tokens()
  }

  /** @throws {RelayError} NOT_FOUND */
  async revokeToken(id: string): Promise<void> {
    const { repository, now, logger } = this.options
    if (!(await repository.revokeToken(id, now())))
      throw new RelayError('NOT_FOUND', `there is no token ${id} to revoke`)
    logger.info({ token: id }, 'join token revoked')
  }

  /** @throws {RelayError} FORBIDDEN for the token; INVALID_INPUT, CONFLICT for what is asked; BUSY for too many repeats */
  async join(request: JoinRequest, { signal }: Ending = {}): Promise<JoinAnswer> {
    // before anything that takes time
    const token = await readToken(this.options.repository, request.token)
    checkNodeId(request.id)
    this.#repeats.check(repeatName(token, request.id))
    return this.#joinWith(token, { ...request, hostname: readHostname(request.hostname) }, signal)
  }

  async #joinWith(token: JoinTokenRecord, asked: JoinRequest, signal?: AbortSignal): Promise<JoinAnswer> {
    const { repository, now, publish, catchUp, logger } = this.options
    const request = readRequest(asked.request)
    if (request.id !== asked.id) throw new RelayError('INVALID_INPUT', 'the certificate request is for another id')
    if (answerLost(await repository.member(asked.id), token, request)) {
      this.#repeats.count(repeatName(token, asked.id))
      await catchUp()
      return this.#answer(asked.id)
    }
    checkUsable(token, now())
    await checkJoin(repository, asked, token, now())
    signal?.throwIfAborted()
    const certificate = await this.#issue(asked.id, token.kind, [asked.hostname], request.publicKey)
    const outcome = await this.#changes.make(async seen => {
      signal?.throwIfAborted()
      await checkJoin(repository, asked, token, now()) // again: issuing took a moment
      return repository.join(seen, await this.#member(asked, token, request), certificate)
    })
    if (outcome === 'unusable') await this.#refuseUnusable(token.id)
    const { id, serial } = { id: asked.id, serial: certificate.serial }
    logger.info({ id, kind: token.kind, policyServer: token.policyServer, tokenId: token.id, serial }, 'member joined')
    await publish()
    return this.#answer(asked.id)
  }

  /**
   * Issues a certificate for the same key, when the newest one is two thirds through its life, or ended not too long
   * ago; else that one. The request's signature proves who asks: so it matters neither which relays passed it on nor
   * what they may have changed. A member that was removed, or joined again with another key, is refused.
   */
  async renew(der: Buffer, { signal }: Ending = {}): Promise<JoinAnswer> {
    const { repository, now, publish, catchUp, graceMs, logger } = this.options
    const { id, keyHash, publicKey } = readRequest(der)
    signal?.throwIfAborted()
    const member = await repository.member(id)
    if (member?.tlsKeyHash?.equals(keyHash) !== true) {
      throw new RelayError('FORBIDDEN', `${id} is not a member with this key: it was removed, or never joined`)
    }
    const newest = await repository.lastCertificateOf(id, now())
    if (newest === undefined || (id !== ROOT_ID && newest.notAfterMs + graceMs() <= now())) {
      throw endedFor(member, newest?.notAfterMs)
    }
    if (isDue(newest, now())) {
      const certificate = await this.#issue(id, member.kind, hostnamesOf(newest.der), publicKey)
      const outcome = await this.#changes.make<'added' | 'renewed'>(async seen => {
        if ((await repository.member(id))?.tlsKeyHash?.equals(keyHash) !== true) {
          throw new RelayError('FORBIDDEN', `${id} was removed`)
        }
        // again: the same request may have come several times while the certificate was made
        const last = await repository.lastCertificateOf(id, now())
        return last !== undefined && !isDue(last, now()) ? 'renewed' : repository.addCertificate(seen, certificate)
      })
      const { serial, notAfterMs } = certificate
      if (outcome === 'added') logger.info({ id, serial, notAfter: isoTime(notAfterMs) }, 'certificate renewed')
      await (outcome === 'added' ? publish() : catchUp())
    } else {
      this.#repeats.check(id)
      this.#repeats.count(id)
      await catchUp() // nobody would know the machine by a certificate that is not in the tree
    }
    return this.#answer(id)
  }

  /**
   * Removes a member: its certificates and the join tokens for its id are revoked for good, and its links closed.
   * @throws {RelayError} UNKNOWN_NODE, CONFLICT
   */
  async remove(id: string): Promise<void> {
    const { repository, now, publish, isInTree, logger } = this.options
    if (id === ROOT_ID) throw new RelayError('CONFLICT', 'the root cannot be removed')
    const outcome = await this.#changes.make(async seen => {
      const below = await repository.countUnder(id)
      if (below > 0) {
        throw new RelayError('CONFLICT', `${id} is the policy server of ${below}: move or remove these first`)
      }
      return repository.remove(seen, id, now())
    })
    // removed before, when the tree could not be written: what is left is to write it
    if (outcome === 'unknown' && !isInTree(id)) {
      throw new RelayError('UNKNOWN_NODE', `${id} is not a member of the tree`)
    }
    logger.info({ id }, 'removed; its certificates and the join tokens for its id are revoked')
    await publish()
  }

  /** @returns where the new policy server takes connections @throws {RelayError} UNKNOWN_NODE, CONFLICT */
  async move(id: string, policyServer: string): Promise<{ hostname: string; port: number | undefined }> {
    const { repository, publish, logger } = this.options
    const member = await repository.member(id)
    if (member === undefined) throw new RelayError('UNKNOWN_NODE', `${id} is not a member of the tree`)
    if (id === ROOT_ID) throw new RelayError('CONFLICT', 'the root has no policy server but itself')
    const above = await relayCalled(repository, policyServer)
    await this.#changes.make(async seen => {
      await relayCalled(repository, policyServer)
      await checkTreeConstraints(repository, id, policyServer)
      return repository.setPolicyServer(seen, id, policyServer)
    })
    logger.info({ id, from: member.policyServer, to: policyServer }, 'member moved')
    await publish()
    return { hostname: above.hostname, port: above.port }
  }

  /** @throws {RelayError} FORBIDDEN, saying why the token can no longer be used */
  async #refuseUnusable(tokenId: string): Promise<never> {
    const token = await this.options.repository.token(tokenId)
    if (token !== undefined) checkUsable(token, this.options.now())
    throw new RelayError('FORBIDDEN', 'the join token is gone')
  }

  async #member(asked: JoinRequest, token: JoinTokenRecord, request: CertificateRequest): Promise<Member> {
    const { id, hostname, port, signingKey } = asked
    const known = await this.options.repository.member(id)
    return {
      id,
      kind: token.kind,
      policyServer: known?.policyServer ?? token.policyServer,
      hostname,
      port: token.kind === 'relay' ? port : undefined,
      keyHash: formatKeyHash(signingKey),
      tlsKeyHash: request.keyHash,
      tokenId: token.id,
      joinedAtMs: this.options.now()
    }
  }

  async #issue(
    id: string,
    purpose: 'relay' | 'node',
    names: readonly string[],
    publicKey: Buffer
  ): Promise<MemberCertificate> {
    const { authority, now, lifetimeMs } = this.options
    const hostnames = purpose === 'node' ? [] : names
    const asked = { id, purpose, hostnames, publicKey, nowMs: now(), lifetimeMs: lifetimeMs() }
    return memberCertificate(id, await authority.issue(asked))
  }

  async #answer(id: string): Promise<JoinAnswer> {
    const { repository, authority, now } = this.options
    const member = await repository.member(id)
    const above = await repository.member(member?.policyServer ?? '')
    const [newest] = await repository.certificatesOf(id, now())
    if (member === undefined || above === undefined || newest === undefined) {
      throw new RelayError('CONFLICT', `${id} was removed meanwhile`)
    }
    return {
      id,
      kind: member.kind,
      certificate: formatCertificate(newest.der),
      ca: authority.certificate,
      policyServer: {
        id: above.id,
        hostname: above.hostname,
        port: above.port,
        certificates: (await repository.certificatesOf(above.id, now()))
          .map(({ der }) => formatCertificate(der))
          .join('')
      }
    }
  }
}

/** The signal that ends a join or renewal that is not recorded yet. */
type Ending = Partial<Pick<RequestWay, 'signal'>>

/** The same machine asks again with the same token: the answer to its join did not reach it. */
function answerLost(member: Member | undefined, token: JoinTokenRecord, { keyHash }: CertificateRequest): boolean {
  return member?.tokenId === token.id && member.tlsKeyHash?.equals(keyHash) === true
}

/** The name under which repeats of a join are counted: nobody without the token can use it up. */
function repeatName({ id: tokenId }: JoinTokenRecord, id: string): string {
  return `${tokenId} ${id}`
}

function endedFor({ id, kind }: Member, endMs: number | undefined): RelayError {
  const when =
    endMs === undefined ? 'long ago' : `at ${new Date(endMs).toISOString()}, longer ago than tree.renewal_grace`
  const token = `treeline token create --${kind} --id ${id}`
  return new RelayError(
    'FORBIDDEN',
    `the certificate of ${id} ended ${when}: run \`${token}\` at the root, and the line that it prints on ${id}`
  )
}
