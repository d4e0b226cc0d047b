import { verify } from 'node:crypto'
import { POLICY_SERVER } from '../../../hops/hop.js'
import { isEd25519 } from '../../../keys/signatures/verify-file.js'
import { MAX_NODE_COUNT } from '../../../tree/import/nodes-list.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { ROOT_ID } from '../../../values/ids.js'
import type { JoinRequest } from '../../member-types.js'
import type { Member } from '../../members.js'
import type { JoinTokenRecord, MemberRepository } from '../member-repository.js'
import { checkHostnameFree } from './host-names.js'
import { relayCalled } from './join-tokens.js'
import { checkTreeConstraints } from './tree-constraints.js'

/**
 * Whether a machine may join with a token as it asks to, by the members as they are now.
 * @throws {RelayError} INVALID_INPUT, FORBIDDEN, CONFLICT, UNKNOWN_NODE, BUSY
 */
export async function checkJoin(
  repository: MemberRepository,
  { id, hostname, port, request, signingKey, signingProof }: JoinRequest,
  token: JoinTokenRecord,
  nowMs: number
): Promise<void> {
  if (id === ROOT_ID || id === POLICY_SERVER) throw new RelayError('CONFLICT', `the id ${id} is reserved`)
  if (token.kind === 'relay' && port === undefined) throw new RelayError('INVALID_INPUT', 'a relay says its port')
  checkSigningKey(signingKey, signingProof, request)
  if (token.memberId !== undefined && token.memberId !== id) {
    throw new RelayError(
      'FORBIDDEN',
      `the join token ${token.id} is for ${token.memberId} alone, and this machine asks to join as ${id}: add --id ${token.memberId}`
    )
  }
  const known = await repository.member(id)
  if (known !== undefined && token.memberId !== id) {
    throw new RelayError(
      'CONFLICT',
      `there is a member ${id}: choose another id, or, for this machine to join again as ${id}, make a token with \`treeline token create --${known.kind} --id ${id}\` at the root, and join with --again`
    )
  }
  if (known !== undefined) checkKind(known, token.kind) // it may have joined since the token was made
  await checkHostnameFree(repository, { id, hostname, kind: token.kind, nowMs })
  if ((await repository.memberCount()) >= MAX_NODE_COUNT)
    throw new RelayError('BUSY', `there are ${MAX_NODE_COUNT} members`)
  const above = known?.policyServer ?? token.policyServer
  await relayCalled(repository, above)
  await checkTreeConstraints(repository, known?.id, above)
}

/** @throws {RelayError} CONFLICT: what it is stays, and with it who may be under it */
export function checkKind({ id, kind }: Member, asked: Member['kind']): void {
  if (kind === asked) return
  throw new RelayError(
    'CONFLICT',
    `${id} is a member, and a ${kind}, which it stays when it joins again: make the token with --${kind}, or remove it first with \`treeline nodes remove ${id}\``
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
