import { createHash } from 'node:crypto'
import { JoinAdmission } from '../../membership/join-admission.js'
import { answerToJson, fromFields, MAX_JOIN_BYTES, readBytes } from '../../membership/join-form.js'
import type { RootMembership } from '../../membership/root-membership.js'
import { MAX_USES } from '../../membership/tokens.js'
import type { Joining } from '../../membership/types.js'
import { PASSED_HEADER } from '../../values/header-names.js'
import { checkNodeId } from '../../values/ids.js'
import { isoTime } from '../../values/iso-time.js'
import { parsePassed } from '../../values/passed-relays.js'
import { RelayError } from '../../values/relay-error.js'
import { headerText, originOf } from '../request-origin.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const Answer = Type.Object({
  id: Type.String(),
  kind: Type.String({ description: 'relay or node' }),
  certificate: Type.String({ description: 'PEM' }),
  ca: Type.String({ description: 'PEM' }),
  policy_server: Type.Object({
    id: Type.String(),
    hostname: Type.String(),
    port: Type.Optional(Type.Integer()),
    certificates: Type.String({ description: 'PEM' })
  })
})

const TOKEN = {
  id: Type.String(),
  kind: Type.String(),
  policy_server: Type.String(),
  member: Type.Optional(Type.String({ description: 'the one id that may join with it' })),
  uses: Type.Integer(),
  expires_at: Type.Time()
}

/** Joining (`v1/join…`, for everyone: what is sent proves who may), and what the root administers. */
export const membershipRoutes: Routes<{ services: Services }> = async (app, { services }) => {
  const tags = ['membership']
  const consumes = ['application/x-www-form-urlencoded']
  const open = { access: 'open' } as const
  const administration = { access: 'administration' } as const
  const admission = new JoinAdmission()

  function joining(): Joining {
    if (services.joining !== undefined) return services.joining
    throw new RelayError('DISABLED', 'this tree is not made of members that join: see tree.source at the root')
  }

  function members(): RootMembership {
    if (services.members !== undefined) return services.members
    throw new RelayError('DISABLED', 'members are kept at the root, with tree.source = "members": ask there')
  }

  type Request = Parameters<typeof originOf>[0]
  /** What a stranger says of the way can only make this refuse. */
  function wayOf(request: Request, reply: Parameters<typeof originOf>[1]) {
    const passed = parsePassed(headerText(request, PASSED_HEADER))
    return { passed, signal: originOf(request, reply, services.stopping).signal }
  }

  app.get(
    '/v1/join/ca',
    {
      config: open,
      schema: {
        tags,
        summary: "The CA's certificate, to be compared with the hash in a token",
        response: { 200: Type.Object({ ca: Type.String({ description: 'PEM' }), relay: Type.String() }) }
      }
    },
    async (request, reply) => {
      const way = wayOf(request, reply)
      const ca = await admission.run(request.caller, '', () => joining().ca(way))
      return { ca, relay: services.topology().selfId }
    }
  )

  app.post(
    '/v1/join',
    {
      config: open,
      bodyLimit: MAX_JOIN_BYTES,
      schema: {
        tags,
        consumes,
        summary: 'Join the tree with a token',
        body: Type.Object({
          token: Type.String(),
          id: Type.String(),
          hostname: Type.String(),
          port: Type.Optional(Type.String()),
          request: Type.String({ description: 'PKCS #10, DER, base64url' }),
          signing_key: Type.String({ description: 'Ed25519, SubjectPublicKeyInfo, DER, base64url' }),
          signing_proof: Type.String({ description: 'signature of the request by that key, base64url' })
        }),
        response: { 200: Answer }
      }
    },
    async (request, reply) => {
      const way = wayOf(request, reply)
      const asked = fromFields(request.body)
      const answer = await admission.run(request.caller, asked.token, () => joining().join(asked, way))
      // its policy server should know it before it opens its link
      void services.treeSync?.ask()
      return answerToJson(answer)
    }
  )

  app.post(
    '/v1/join/renew',
    {
      config: open,
      bodyLimit: MAX_JOIN_BYTES,
      schema: {
        tags,
        consumes,
        summary: 'A new certificate for the key that signed the request, when it is due',
        body: Type.Object({ request: Type.String({ description: 'PKCS #10, DER, base64url' }) }),
        response: { 200: Answer }
      }
    },
    async (request, reply) => {
      const way = wayOf(request, reply)
      const asked = readBytes('request', request.body.request)
      const proof = createHash('sha256').update(asked).digest('hex')
      const answer = await admission.run(request.caller, proof, () => joining().renew(asked, way))
      void services.treeSync?.ask()
      return answerToJson(answer)
    }
  )

  app.post(
    '/v1/tokens',
    {
      config: administration,
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
            port: Type.Optional(Type.Integer())
          })
        }
      }
    },
    async ({ body }) => {
      const { kind, policy_server: policyServer, member: memberId, uses, expires_in_ms: lifetimeMs } = body
      if (kind !== 'relay' && kind !== 'node') {
        throw new RelayError('INVALID_INPUT', `invalid kind: ${JSON.stringify(kind.slice(0, 80))}; relay or node`)
      }
      const made = members().createToken({ kind, policyServer, memberId, uses, lifetimeMs })
      return {
        ...showToken({ ...made, memberId: made.memberId ?? null, usesLeft: made.uses }),
        token: made.token,
        hostname: made.hostname,
        ...(made.port === undefined ? {} : { port: made.port })
      }
    }
  )

  app.get(
    '/v1/tokens',
    {
      config: administration,
      schema: {
        tags,
        summary: 'Tokens, without their secrets',
        response: { 200: Type.Object({ tokens: Type.Array(Type.Object({ ...TOKEN, revoked: Type.Boolean() })) }) }
      }
    },
    async () => ({
      tokens: members()
        .tokens()
        .map(token => ({ ...showToken(token), revoked: token.revokedAtMs !== null }))
    })
  )

  app.delete(
    '/v1/tokens/:tokenId',
    {
      config: administration,
      schema: {
        tags,
        summary: 'Revoke a token',
        params: Type.Object({ tokenId: Type.String() }),
        response: { 204: Type.Null() }
      }
    },
    async ({ params }, reply) => {
      members().revokeToken(params.tokenId.slice(0, 80))
      return reply.code(204).send(null)
    }
  )

  const Member = Type.Object({ memberId: Type.String() })
  app.delete(
    '/v1/members/:memberId',
    {
      config: administration,
      schema: {
        tags,
        summary: 'Remove a member: its certificates are revoked, its links closed',
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
      config: administration,
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
  readonly memberId: string | null
  readonly usesLeft: number
  readonly expiresAtMs: number
}) {
  return {
    id: token.id,
    kind: token.kind,
    policy_server: token.policyServer,
    ...(token.memberId === null ? {} : { member: token.memberId }),
    uses: token.usesLeft,
    expires_at: isoTime(token.expiresAtMs)
  }
}
