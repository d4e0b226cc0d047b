import { MAX_USES } from '../../../membership/root/joining/join-tokens.js'
import type { RootMembership } from '../../../membership/root/root-membership.js'
import { FORM } from '../../../network/header-names.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { checkNodeId } from '../../../values/ids.js'
import { isoTime } from '../../../values/time/iso-time.js'
import { type Routes, Type } from '../../schema.js'
import type { Services } from '../../services.js'

const TOKEN = {
  id: Type.String(),
  kind: Type.String(),
  policy_server: Type.String(),
  member: Type.Optional(Type.String({ description: 'the one id that may join with it' })),
  uses: Type.Integer(),
  expires_at: Type.Time()
}

const tags = ['membership']
const consumes = [FORM]
const config = { access: 'administration' } as const

/** The routes of administration at the root: tokens and members. */
export const membershipRoutes: Routes<{ services: Pick<Services, 'members'> }> = async (app, { services }) => {
  const members = (): RootMembership => {
    if (services.members !== undefined) return services.members
    throw new RelayError('DISABLED', 'members are kept at the root, with tree.source = "members": ask there')
  }
  await app.register(tokenRoutes, { members })
  await app.register(memberRoutes, { members })
}

interface MembersOptions {
  /** @throws {RelayError} DISABLED where there are none */
  readonly members: () => RootMembership
}

const tokenRoutes: Routes<MembersOptions> = async (app, { members }) => {
  app.post(
    '/v1/tokens',
    {
      config,
      schema: {
        tags,
        consumes,
        summary: 'Make a token to join with',
        body: Type.Object({
          kind: Type.String({ description: 'relay or node' }),
          policy_server: Type.Optional(Type.String({ description: 'that of the member, else root' })),
          member: Type.Optional(Type.String()),
          uses: Type.Integer({ minimum: 1, maximum: MAX_USES }),
          expires_in_ms: Type.Integer({ minimum: 1 })
        }),
        response: {
          200: Type.Object({
            ...TOKEN,
            token: Type.String(),
            hostname: Type.String(),
            port: Type.Optional(Type.Integer()),
            is_member: Type.Optional(Type.Boolean({ description: 'whether `member` is one already, and joins again' }))
          })
        }
      }
    },
    async ({ body }) => {
      const { kind, policy_server: policyServer, member: memberId, uses, expires_in_ms: lifetimeMs } = body
      if (kind !== 'relay' && kind !== 'node') {
        throw new RelayError('INVALID_INPUT', `invalid kind: ${JSON.stringify(kind.slice(0, 80))}; relay or node`)
      }
      const made = await members().createToken({ kind, policyServer, memberId, uses, lifetimeMs })
      return {
        ...showToken({ ...made, usesLeft: made.uses }),
        token: made.token,
        hostname: made.hostname,
        ...(made.port === undefined ? {} : { port: made.port }),
        ...(made.memberId === undefined ? {} : { is_member: made.isOfMember })
      }
    }
  )

  app.get(
    '/v1/tokens',
    {
      config,
      schema: {
        tags,
        summary: 'Tokens, without their secrets',
        response: { 200: Type.Object({ tokens: Type.Array(Type.Object({ ...TOKEN, revoked: Type.Boolean() })) }) }
      }
    },
    async () => ({
      tokens: (await members().tokens()).map(token => ({
        ...showToken(token),
        revoked: token.revokedAtMs !== undefined
      }))
    })
  )

  app.delete(
    '/v1/tokens/:tokenId',
    {
      config,
      schema: {
        tags,
        summary: 'Revoke a token',
        params: Type.Object({ tokenId: Type.String() }),
        response: { 204: Type.Null() }
      }
    },
    async ({ params }, reply) => {
      await members().revokeToken(params.tokenId.slice(0, 80))
      return reply.code(204).send(null)
    }
  )
}

const memberRoutes: Routes<MembersOptions> = async (app, { members }) => {
  const Member = Type.Object({ memberId: Type.String() })
  app.delete(
    '/v1/members/:memberId',
    {
      config,
      schema: {
        tags,
        summary: 'Remove a member: its certificates and the join tokens for its id are revoked, its links closed',
        params: Member,
        response: { 204: Type.Null() }
      }
    },
    async ({ params }, reply) => {
      checkNodeId(params.memberId)
      await members().remove(params.memberId)
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/v1/members/:memberId/move',
    {
      config,
      schema: {
        tags,
        consumes,
        summary: 'Put a member, and all below it, under another policy server',
        params: Member,
        body: Type.Object({ policy_server: Type.String() }),
        response: { 200: Type.Object({ hostname: Type.String(), port: Type.Optional(Type.Integer()) }) }
      }
    },
    async ({ params, body }) => {
      checkNodeId(params.memberId)
      checkNodeId(body.policy_server)
      const { hostname, port } = await members().move(params.memberId, body.policy_server)
      return { hostname, ...(port === undefined ? {} : { port }) }
    }
  )
}

function showToken(token: {
  readonly id: string
  readonly kind: string
  readonly policyServer: string
  readonly memberId: string | undefined
  readonly usesLeft: number
  readonly expiresAtMs: number
}) {
  return {
    id: token.id,
    kind: token.kind,
    policy_server: token.policyServer,
    ...(token.memberId === undefined ? {} : { member: token.memberId }),
    uses: token.usesLeft,
    expires_at: isoTime(token.expiresAtMs)
  }
}
