import { createHash } from 'node:crypto'
import { answerToJson, fromFields, MAX_JOIN_BYTES, readBytes } from '../../../membership/join-form.js'
import type { Joining } from '../../../membership/member-types.js'
import { JoinAdmission } from '../../../membership/root/joining/join-admission.js'
import { FORM, PASSED_HEADER } from '../../../network/header-names.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { parsePassed } from '../../../values/passed-relays.js'
import { headerText, originOf } from '../../callers/request-origin.js'
import { type Routes, Type } from '../../schema.js'
import type { Services } from '../../services.js'

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

/** `v1/join…`: for everyone, since what is sent proves who may. */
export const joinRoutes: Routes<{
  services: Pick<Services, 'joining' | 'stopping' | 'topology' | 'treeSync'>
}> = async (app, { services }) => {
  const tags = ['membership']
  const consumes = [FORM]
  const open = { access: 'open' } as const
  const admission = new JoinAdmission()

  function joining(): Joining {
    if (services.joining !== undefined) return services.joining
    throw new RelayError('DISABLED', 'this tree is not made of members that join: see tree.source at the root')
  }

  type Request = Parameters<typeof originOf>[0]
  /**
   * The way of a request: the relays that it has passed, as its sender states them, and the signal that ends it. A
   * false statement can only make this relay refuse.
   */
  function wayOf(request: Request, reply: Parameters<typeof originOf>[1]) {
    const passed = parsePassed(headerText(request, PASSED_HEADER))
    const { signal } = originOf(request, reply, services.stopping)
    return (evicted: AbortSignal) => ({ passed, signal: AbortSignal.any([signal, evicted]) })
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
      const ca = await admission.run(request.caller, '', evicted => joining().ca(way(evicted)))
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
      const answer = await admission.run(request.caller, asked.token, evicted => joining().join(asked, way(evicted)))
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
      const answer = await admission.run(request.caller, proof, evicted => joining().renew(asked, way(evicted)))
      void services.treeSync?.ask()
      return answerToJson(answer)
    }
  )
}
