import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { formatJoinToken, parseTokenProof, TOKEN_ID_LENGTH } from '../../../keys/tokens/join-token.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import type { NewToken, TokenMade } from '../../member-types.js'
import type { Member } from '../../members.js'
import type { Forgetting } from '../forgetting.js'
import type { JoinTokenRecord, MemberRepository } from '../member-repository.js'

export const MAX_TOKENS = 10_000
export const MAX_USES = 100_000
export const MAX_TOKEN_LIFETIME_MS = 365 * 24 * 3_600_000
const NO_HASH = Buffer.alloc(32)

/** @throws {RelayError} INVALID_INPUT, UNKNOWN_NODE, BUSY */
export async function makeToken(
  { repository, forgetting }: { readonly repository: MemberRepository; readonly forgetting: Forgetting },
  asked: NewToken,
  caHash: Buffer,
  nowMs: number
): Promise<Omit<TokenMade, 'isOfMember'>> {
  const { kind, policyServer, memberId, uses, lifetimeMs } = asked
  if (!(uses >= 1 && uses <= MAX_USES)) throw invalid(`uses: ${uses}; 1 to ${MAX_USES} are allowed`)
  if (!(lifetimeMs >= 1 && lifetimeMs <= MAX_TOKEN_LIFETIME_MS)) throw invalid('expires: from now on, a year at most')
  const above = await relayCalled(repository, policyServer)
  await forgetting.forget()
  const secret = randomBytes(32)
  // not base64url, which may begin with a dash: a command line would take it for an option
  const id = randomBytes(TOKEN_ID_LENGTH / 2).toString('hex')
  const expiresAtMs = nowMs + lifetimeMs
  const secretHash = sha256(secret)
  const times = { createdAtMs: nowMs, expiresAtMs, revokedAtMs: undefined }
  const token = { id, secretHash, kind, policyServer, memberId, usesLeft: uses, ...times }
  let outcome = await repository.addToken(token, MAX_TOKENS)
  if (outcome === 'full') {
    await forgetting.makeRoom()
    outcome = await repository.addToken(token, MAX_TOKENS)
  }
  if (outcome === 'full') {
    throw new RelayError(
      'BUSY',
      `there are ${MAX_TOKENS} tokens, which are forgotten 30 days after they expire: make room with \`treeline token revoke <id>\``
    )
  }
  const { hostname, port } = above
  return {
    ...asked,
    token: formatJoinToken({ id, secret, caHash }),
    id,
    expiresAtMs,
    hostname,
    port
  }
}

/** @throws {RelayError} FORBIDDEN when it is none of ours. Whether it can still be used, {@link checkUsable} says */
export async function readToken(repository: MemberRepository, proof: string): Promise<JoinTokenRecord> {
  const given = parseTokenProof(proof)
  const token = given === undefined ? undefined : await repository.token(given.id)
  const isRight = timingSafeEqual(sha256(given?.secret ?? NO_HASH), token?.secretHash ?? NO_HASH)
  if (given === undefined || token === undefined || !isRight) {
    throw new RelayError('FORBIDDEN', 'this join token is not known: make one with `treeline token create` at the root')
  }
  return token
}

/** @throws {RelayError} FORBIDDEN, with the reason */
export function checkUsable(token: JoinTokenRecord, nowMs: number): void {
  const why =
    token.revokedAtMs !== undefined
      ? 'was revoked'
      : token.expiresAtMs <= nowMs
        ? `expired at ${new Date(token.expiresAtMs).toISOString()}`
        : token.usesLeft <= 0
          ? 'has been used as often as it may be'
          : undefined
  if (why === undefined) return
  throw new RelayError('FORBIDDEN', `the join token ${token.id} ${why}: make a new one at the root`)
}

/** The member that others can be put under. @throws {RelayError} UNKNOWN_NODE, CONFLICT */
export async function relayCalled(repository: MemberRepository, id: string): Promise<Member> {
  const member = await repository.member(id)
  if (member === undefined) throw new RelayError('UNKNOWN_NODE', `${id} is not a member of the tree`)
  if (member.kind !== 'relay')
    throw new RelayError('CONFLICT', `${id} is a node, and no policy server: only relays are`)
  return member
}

function invalid(what: string): RelayError {
  return new RelayError('INVALID_INPUT', `invalid ${what}`)
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}
