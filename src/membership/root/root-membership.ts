import { createHash, verify } from 'node:crypto'
import { POLICY_SERVER } from '../../hops/hop.js'
import type { MemberCertificateRow, MemberRow, MemberStore, TokenRow } from '../../storage/member-store.js'
import { MAX_NODE_COUNT } from '../../tree/import/nodes-list.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId, ROOT_ID } from '../../values/ids.js'
import { isEd25519 } from '../../values/keys/file-signature.js'
import { formatCertificate } from '../../values/keys/pem.js'
import type { Logger } from '../../values/logger.js'
import { isoTime } from '../../values/time/iso-time.js'
import { type CertificateRequest, readRequest } from '../certificate-request.js'
import { certificateRow, hostnamesOf } from '../certificates.js'
import { isDue } from '../renewal-time.js'
import type { JoinAnswer, Joining, JoinRequest, NewToken, TokenAsked, TokenMade, Way } from '../types.js'
import type { CertificateAuthority } from './certificate-authority.js'
import { checkHostnameFree, readHostname } from './host-names.js'
import { checkUsable, makeToken, readToken, relayCalled } from './join-tokens.js'
import { checkFits } from './tree-constraints.js'

export interface RootMembershipOptions {
  readonly store: MemberStore
  readonly authority: CertificateAuthority
  /** Makes what is in the store the tree. */
  readonly publish: () => Promise<void>
  readonly lifetimeMs: () => number
  /** How long after its end a certificate can still be renewed. */
  readonly graceMs: () => number
  readonly logger: Logger
  readonly now: () => number
}

/** Everything that changes who is in the tree. At the root alone. */
export class RootMembership implements Joining {
  constructor(private readonly options: RootMembershipOptions) {}

  async ca(): Promise<string> {
    return this.options.authority.certificate
  }

  /** @throws {RelayError} INVALID_INPUT, UNKNOWN_NODE, CONFLICT, BUSY */
  createToken(asked: TokenAsked): TokenMade {
    const { store, authority, now, logger } = this.options
    if (asked.policyServer !== undefined) checkNodeId(asked.policyServer)
    const made = makeToken(store, this.#asMember(asked), authority.hash, now())
    const { id, kind, policyServer, uses, expiresAtMs } = made
    logger.info({ tokenId: id, kind, policyServer, uses, expiresAt: isoTime(expiresAtMs) }, 'join token made')
    return made
  }

  /** A member that joins again stays what and where it is: a token that asks for something else is refused. */
  #asMember(asked: TokenAsked): NewToken {
    const { memberId, kind, policyServer } = asked
    if (memberId === undefined) return { ...asked, policyServer: policyServer ?? ROOT_ID }
    checkNodeId(memberId)
    if (memberId === ROOT_ID) throw new RelayError('CONFLICT', 'the root does not join its own tree')
    const member = this.options.store.member(memberId)
    if (member === undefined) return { ...asked, policyServer: policyServer ?? ROOT_ID }
    checkKind(member, kind)
    if (policyServer !== undefined && policyServer !== member.policyServer) {
      throw new RelayError(
        'CONFLICT',
        `${memberId} is under ${member.policyServer}, where it stays when it joins again: leave --under out, and move it with \`treeline nodes move ${memberId} --under ${policyServer}\``
      )
    }
    return { ...asked, policyServer: member.policyServer }
  }

  tokens(): TokenRow[] {
    return this.options.store.tokens()
  }

  /** @throws {RelayError} NOT_FOUND */
  revokeToken(id: string): void {
    const { store, now, logger } = this.options
    if (!store.revokeToken(id, now())) throw new RelayError('NOT_FOUND', `there is no token ${id} to revoke`)
    logger.info({ token: id }, 'join token revoked')
  }

  /** @throws {RelayError} FORBIDDEN for the token; INVALID_INPUT, CONFLICT for what is asked */
  async join(request: JoinRequest, { signal }: Ending = {}): Promise<JoinAnswer> {
    // before anything that takes time
    const token = readToken(this.options.store, request.token)
    checkNodeId(request.id)
    return this.#joinWith(token, { ...request, hostname: readHostname(request.hostname) }, signal)
  }

  async #joinWith(token: TokenRow, asked: JoinRequest, signal?: AbortSignal): Promise<JoinAnswer> {
    const { store, now, publish, logger } = this.options
    const request = await readRequest(asked.request)
    if (request.id !== asked.id) throw new RelayError('INVALID_INPUT', 'the certificate request is for another id')
    const again = answerLost(store.member(asked.id), token, request)
    if (again) {
      await publish()
      return this.#answer(asked.id)
    }
    checkUsable(token, now())
    this.#check(asked, token)
    signal?.throwIfAborted()
    const certificate = await this.#issue(asked.id, token.kind, [asked.hostname], request.publicKey)
    signal?.throwIfAborted()
    this.#check(asked, token) // again: issuing took a moment
    checkUsable(this.#token(token.id), now())
    if (!store.join(this.#member(asked, token, request), certificate)) checkUsable(this.#token(token.id), now())
    const { id, serial } = { id: asked.id, serial: certificate.serial }
    logger.info({ id, kind: token.kind, policyServer: token.policyServer, tokenId: token.id, serial }, 'joined')
    await publish()
    return this.#answer(asked.id)
  }

  /**
   * A certificate for the same key, when the newest one is two thirds through its life, or ended not too long ago; else
   * that one. The request's signature proves who asks: so it matters neither which relays passed it on nor what they may
   * have changed. Who was removed, or joined again with another key, is refused.
   */
  async renew(der: Buffer, { signal }: Ending = {}): Promise<JoinAnswer> {
    const { store, now, publish, graceMs, logger } = this.options
    const { id, keyHash, publicKey } = await readRequest(der)
    signal?.throwIfAborted()
    const member = store.member(id)
    if (member?.tlsKeyHash == null || !member.tlsKeyHash.equals(keyHash)) {
      throw new RelayError('FORBIDDEN', `${id} is not a member with this key: it was removed, or never joined`)
    }
    const newest = store.lastCertificateOf(id, now())
    if (newest === undefined || (id !== ROOT_ID && newest.notAfterMs + graceMs() <= now())) {
      throw endedFor(member, newest?.notAfterMs)
    }
    if (isDue(newest, now())) {
      const certificate = await this.#issue(id, member.kind, hostnamesOf(newest.der), publicKey)
      if (store.member(id)?.tlsKeyHash?.equals(keyHash) !== true) {
        throw new RelayError('FORBIDDEN', `${id} was removed`)
      }
      store.addCertificate(certificate)
      const { serial, notAfterMs } = certificate
      logger.info({ id, serial, notAfter: isoTime(notAfterMs) }, 'certificate renewed')
      await publish()
    }
    return this.#answer(id)
  }

  /** Its certificates are revoked for good, and its links closed. @throws {RelayError} UNKNOWN_NODE, CONFLICT */
  async remove(id: string): Promise<void> {
    const { store, now, publish, logger } = this.options
    if (id === ROOT_ID) throw new RelayError('CONFLICT', 'the root cannot be removed')
    const below = store.countUnder(id)
    if (below > 0) {
      throw new RelayError('CONFLICT', `${id} is the policy server of ${below}: move or remove these first`)
    }
    if (!store.remove(id, now())) throw new RelayError('UNKNOWN_NODE', `${id} is not a member of the tree`)
    logger.info({ id }, 'removed; its certificates are revoked')
    await publish()
  }

  /** @returns where the new policy server takes connections @throws {RelayError} UNKNOWN_NODE, CONFLICT */
  async move(id: string, policyServer: string): Promise<{ hostname: string; port: number | undefined }> {
    const { store, publish, logger } = this.options
    const member = store.member(id)
    if (member === undefined) throw new RelayError('UNKNOWN_NODE', `${id} is not a member of the tree`)
    if (id === ROOT_ID) throw new RelayError('CONFLICT', 'the root has no policy server but itself')
    const above = relayCalled(store, policyServer)
    checkFits(store, id, policyServer)
    store.setPolicyServer(id, policyServer)
    logger.info({ id, from: member.policyServer, to: policyServer }, 'moved')
    await publish()
    return { hostname: above.hostname, port: above.port ?? undefined }
  }

  #token(id: string): TokenRow {
    const token = this.options.store.token(id)
    if (token === undefined) throw new RelayError('FORBIDDEN', 'the join token is gone')
    return token
  }

  #check({ id, hostname, port, request, signingKey, signingProof }: JoinRequest, token: TokenRow): void {
    const { store, now } = this.options
    if (id === ROOT_ID || id === POLICY_SERVER) throw new RelayError('CONFLICT', `the id ${id} is reserved`)
    if (token.kind === 'relay' && port === undefined) throw new RelayError('INVALID_INPUT', 'a relay says its port')
    checkSigningKey(signingKey, signingProof, request)
    if (token.memberId !== null && token.memberId !== id) {
      throw new RelayError(
        'FORBIDDEN',
        `the join token ${token.id} is for ${token.memberId} alone, and this machine asks to join as ${id}: add --id ${token.memberId}`
      )
    }
    const known = store.member(id)
    if (known !== undefined && token.memberId !== id) {
      throw new RelayError(
        'CONFLICT',
        `there is a member ${id}: choose another id, or, for this machine to join again as ${id}, make a token with \`treeline token create --${known.kind} --id ${id}\` at the root, and join with --again`
      )
    }
    if (known !== undefined) checkKind(known, token.kind) // it may have joined since the token was made
    checkHostnameFree(store, { id, hostname, kind: token.kind, nowMs: now() })
    if (store.memberCount() >= MAX_NODE_COUNT) throw new RelayError('BUSY', `there are ${MAX_NODE_COUNT} members`)
    const above = known?.policyServer ?? token.policyServer
    relayCalled(store, above)
    checkFits(store, known?.id, above)
  }

  #member(asked: JoinRequest, token: TokenRow, request: CertificateRequest): MemberRow {
    const { id, hostname, port, signingKey } = asked
    return {
      id,
      kind: token.kind,
      policyServer: this.options.store.member(id)?.policyServer ?? token.policyServer,
      hostname,
      port: token.kind === 'relay' ? (port ?? null) : null,
      keyHash: `sha256//${createHash('sha256').update(signingKey).digest('base64')}`,
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
  ): Promise<MemberCertificateRow> {
    const { authority, now, lifetimeMs } = this.options
    const hostnames = purpose === 'node' ? [] : names
    const asked = { id, purpose, hostnames, publicKey, nowMs: now(), lifetimeMs: lifetimeMs() }
    return certificateRow(id, await authority.issue(asked))
  }

  #answer(id: string): JoinAnswer {
    const { store, authority, now } = this.options
    const member = store.member(id)
    const above = store.member(member?.policyServer ?? '')
    const [newest] = store.certificatesOf(id, now())
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
        port: above.port ?? undefined,
        certificates: store
          .certificatesOf(above.id, now())
          .map(({ der }) => formatCertificate(der))
          .join('')
      }
    }
  }
}

/** What ends a join or renewal that is not recorded yet. */
type Ending = Partial<Pick<Way, 'signal'>>

/** The same machine asks again with the same token: the answer to its join did not reach it. */
function answerLost(member: MemberRow | undefined, token: TokenRow, { keyHash }: CertificateRequest): boolean {
  return member?.tokenId === token.id && member.tlsKeyHash?.equals(keyHash) === true
}

/** @throws {RelayError} CONFLICT: what it is stays, and with it who may be under it */
function checkKind({ id, kind }: MemberRow, asked: MemberRow['kind']): void {
  if (kind === asked) return
  throw new RelayError(
    'CONFLICT',
    `${id} is a member, and a ${kind}, which it stays when it joins again: make the token with --${kind}, or remove it first with \`treeline nodes remove ${id}\``
  )
}

function endedFor({ id, kind }: MemberRow, endMs: number | undefined): RelayError {
  const when =
    endMs === undefined ? 'long ago' : `at ${new Date(endMs).toISOString()}, longer ago than tree.renewal_grace`
  const token = `treeline token create --${kind} --id ${id}`
  return new RelayError(
    'FORBIDDEN',
    `the certificate of ${id} ended ${when}: run \`${token}\` at the root, and the line that it prints on ${id}`
  )
}

function checkSigningKey(spki: Buffer, proof: Buffer, request: Buffer): void {
  let isProved = false
  try {
    isProved = isEd25519(spki) && verify(null, request, { key: spki, format: 'der', type: 'spki' }, proof)
  } catch {
    isProved = false // no key at all
  }
  if (!isProved) throw new RelayError('INVALID_INPUT', 'the signing key is no Ed25519 key that signed the request')
}
