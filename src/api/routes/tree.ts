import type { Caller } from '../../network/caller.js'
import { NDJSON } from '../../network/header-names.js'
import type { Topology } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId } from '../../values/ids.js'
import { limitStalledReader } from '../answers/reader-limit.js'
import { headerText } from '../callers/request-origin.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const VERSION_TAG = /"([0-9a-f]{64})"/g

/** `GET v1/tree`, a relay's part of the tree, and `POST v1/tree/changed`, by which a relay is told to ask for it. */
export const treeRoutes: Routes<{ services: Pick<Services, 'topology' | 'treeSource' | 'treeSync'> }> = async (
  app,
  { services }
) => {
  const { treeSource, treeSync, topology } = services
  const tags = ['nodes']

  app.get(
    '/v1/tree',
    {
      config: { access: 'tree' },
      schema: {
        tags,
        summary: 'A relay and all below it, a line for each node, with certificates',
        description:
          'Relays get their own part. The ETag is its version: If-None-Match answers 304, and since= the difference to it, while it is known.',
        produces: [NDJSON],
        describedResponse: {
          200: Type.String({ description: 'The part, or the difference to it' }),
          304: Type.Null({ description: 'The caller has it already' })
        },
        querystring: Type.Object({
          since: Type.Optional(Type.String({ description: 'the version that the caller has, without quotes' })),
          relay: Type.Optional(Type.String({ description: 'for local callers: whose part; this relay unless given' }))
        })
      }
    },
    async (request, reply) => {
      const { caller, query } = request
      const relay = partFor(caller, query.relay, topology())
      const answer = await treeSource.part(relay, {
        has: [...(headerText(request, 'if-none-match') ?? '').matchAll(VERSION_TAG)].map(([, version = '']) => version),
        since: query.since,
        isItself: relay === caller.id
      })
      reply.header('etag', `"${answer.version}"`)
      if (answer.kind === 'same') return reply.code(304).send()
      limitStalledReader(reply.raw, request.raw.socket)
      return reply.type(NDJSON).send(answer.body)
    }
  )

  app.post(
    '/v1/tree/changed',
    {
      config: { access: 'policy-server' },
      schema: {
        tags,
        summary: 'Tells this relay that its policy server has another tree for it',
        response: { 202: Type.Null({ description: 'It asks for it now' }) }
      }
    },
    async (_request, reply) => {
      if (treeSync === undefined) {
        throw new RelayError('DISABLED', 'this relay has its tree from elsewhere: tree.source is not "policy-server"')
      }
      void treeSync.ask() // never rejects
      return reply.code(202).send(null)
    }
  )
}

/** The relay whose part of the tree the caller may have. @throws {RelayError} */
function partFor(caller: Caller, asked: string | undefined, topology: Topology): string {
  if (asked !== undefined) checkNodeId(asked)
  if (caller.id === undefined || caller.isAdmin === true) {
    const relay = asked ?? topology.selfId
    if (relay === topology.selfId || topology.isBelow(relay)) return relay
    throw new RelayError(
      'UNKNOWN_NODE',
      `node ${relay} is not below ${topology.selfId}: check the id, or ask a relay that is above it`
    )
  }
  const { id } = caller
  if (asked !== undefined && asked !== id) {
    throw new RelayError('FORBIDDEN', `${id} may have its own part of the tree, not that of ${asked}`)
  }
  const isManagedHere = id !== topology.selfId && topology.route(id).kind === 'here'
  if (caller.kind === 'relay' || isManagedHere) return id
  throw new RelayError('FORBIDDEN', `${id} is not managed by ${topology.selfId}: ask its own policy server`)
}
