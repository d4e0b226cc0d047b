import type { Caller } from '../../network/caller.js'
import { createTracer } from '../../trace/trace.js'
import type { Topology } from '../../tree/topology.js'
import { checkNodeId } from '../../values/ids.js'
import { formatVersions, PROTOCOL_VERSIONS } from '../../values/protocol-version.js'
import { listingTurn } from '../answers/listing-turns.js'
import { outOfScope, scopeOf } from '../callers/access.js'
import { originOf } from '../callers/request-origin.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'
import { NodeStateSchema } from './node-state.js'

const Hop = Type.Object({
  from: Type.String(),
  to: Type.String(),
  way: Type.String({ description: '`link`, `direct`, or `command`: started by the relay, not tried now' }),
  round_trip_ms: Type.Optional(Type.Number()),
  waiting_files: Type.Integer({ description: 'shared files that wait for this hop' }),
  version: Type.Optional(Type.String({ description: 'of the program at the other end' })),
  protocol: Type.Optional(Type.String({ description: 'versions that the other end speaks: `<oldest>-<newest>`' }))
})

/** The services that {@link traceRoutes} use. */
export type TraceServices = Pick<Services, 'config' | 'neighbours' | 'sharedFiles' | 'stopping' | 'topology'>

/** All traces together, as a source of lists: no node has such an id. */
const TRACES = 'all traces'

/** `GET trace/<id>`: the way to a node, each relay on it adding its own step. */
export const traceRoutes: Routes<{ services: TraceServices }> = async (app, { services }) => {
  const { topology, neighbours, sharedFiles, stopping } = services
  const { general, remoteRun } = services.config()
  const trace = createTracer({
    selfId: general.nodeId,
    topology,
    neighbours,
    hasCommand: remoteRun.fallbackCommand,
    waitingFiles: async matches => {
      await listingTurn(TRACES)
      const counts = await sharedFiles.outbox.countByTarget()
      return counts.reduce((sum, { target, count }) => sum + (matches(target) ? count : 0), 0)
    }
  })
  app.get(
    '/trace/:nodeId',
    {
      config: { access: 'trace' },
      schema: {
        tags: ['nodes'],
        summary: 'The way to a node, hop by hop, and where it is broken',
        description:
          'A node, known by its certificate, may ask its own policy server for the way to itself, and for no other.',
        params: Type.Object({ nodeId: Type.String() }),
        response: {
          200: Type.Object({
            target: Type.String(),
            hops: Type.Array(Hop),
            reached: Type.String({ description: 'the last one that answers' }),
            problem: Type.Optional(Type.String({ description: 'what is wrong behind it; absent: nothing' })),
            took_ms: Type.Number(),
            protocol: Type.Optional(Type.String({ description: 'versions that the relay that answers speaks' })),
            node: Type.Optional(NodeStateSchema)
          })
        }
      }
    },
    async (request, reply) => {
      checkNodeId(request.params.nodeId)
      checkSeen(request.params.nodeId, request.caller, topology())
      const { hops, node, ...rest } = await trace(request.params.nodeId, originOf(request, reply, stopping))
      const protocol = formatVersions(PROTOCOL_VERSIONS)
      const state = node === undefined ? {} : { node: { ...node, file_problems: [...node.file_problems] } }
      return { ...rest, hops: [...hops], protocol, ...state }
    }
  )
}

/** A node sees its own last step alone: the others tell of what waits for its neighbours. @throws {RelayError} FORBIDDEN */
function checkSeen(nodeId: string, caller: Caller, topology: Topology): void {
  const scope = scopeOf('trace', caller)
  if (scope.kind === 'all') return
  if (nodeId !== scope.id || topology.route(nodeId).kind !== 'here') throw outOfScope('trace', caller)
}
