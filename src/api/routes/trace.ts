import { createTracer } from '../../tree/trace.js'
import { checkNodeId } from '../../values/ids.js'
import { originOf } from '../request-origin.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const Hop = Type.Object({
  from: Type.String(),
  to: Type.String(),
  way: Type.String({ description: '`link`, `direct`, or `command`: started by the relay, not tried now' }),
  round_trip_ms: Type.Optional(Type.Number()),
  waiting_files: Type.Integer({ description: 'shared files that wait for this hop' }),
  version: Type.Optional(Type.String({ description: 'of the program at the other end' }))
})

/** `GET trace/<id>`: the way to a node, each relay on it adding its own step. */
export const traceRoutes: Routes<{ services: Services }> = async (app, { services }) => {
  const { topology, neighbours, sharedFiles, stopping } = services
  const trace = createTracer({
    selfId: services.config().general.nodeId,
    topology,
    neighbours,
    waitingFiles: matches => sharedFiles.outbox.list().filter(entry => matches(entry.key.target)).length
  })
  app.get(
    '/trace/:nodeId',
    {
      config: { access: 'trace' },
      schema: {
        tags: ['nodes'],
        summary: 'The way to a node, hop by hop, and where it is broken',
        params: Type.Object({ nodeId: Type.String() }),
        response: {
          200: Type.Object({
            target: Type.String(),
            hops: Type.Array(Hop),
            reached: Type.String({ description: 'the last one that answers' }),
            problem: Type.Optional(Type.String({ description: 'what is wrong behind it; absent: nothing' })),
            took_ms: Type.Number()
          })
        }
      }
    },
    async (request, reply) => {
      checkNodeId(request.params.nodeId)
      const { hops, ...rest } = await trace(request.params.nodeId, originOf(request, reply, stopping))
      return { ...rest, hops: [...hops] }
    }
  )
}
