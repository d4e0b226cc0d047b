import { X509Certificate } from 'node:crypto'
import { fingerprint } from '../../keys/certificates/fingerprint.js'
import type { TreeNode } from '../../tree/topology.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkNodeId } from '../../values/ids.js'
import { isoTime } from '../../values/time/iso-time.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'
import { type TraceServices, traceRoutes } from './trace.js'

const MAX_PAGE = 1_000

const NodeSchema = {
  id: Type.String(),
  hostname: Type.String(),
  policy_server: Type.String(),
  key_hash: Type.Optional(Type.String())
}

const NodeId = Type.Object({ nodeId: Type.String() })

/** The tree as this relay sees it: `GET nodes`, `GET nodes/<id>`, `GET nodes/<id>/route`. */
export const nodeRoutes: Routes<{ services: TraceServices & Pick<Services, 'certificates' | 'topology'> }> = async (
  app,
  { services }
) => {
  const { topology, certificates } = services
  await app.register(traceRoutes, { services })
  const config = { access: 'administration', asksTree: true } as const
  const tags = ['nodes']

  app.get(
    '/nodes',
    {
      config,
      schema: {
        tags,
        summary: 'The nodes of the list, in the order of their ids',
        querystring: Type.Object({
          limit: Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: MAX_PAGE }),
          after: Type.Optional(Type.String())
        }),
        response: {
          200: Type.Object({
            nodes: Type.Array(Type.Object({ ...NodeSchema, below: Type.Boolean() })),
            next: Type.Optional(Type.String())
          })
        }
      }
    },
    async ({ query }) => {
      const tree = topology()
      const page = tree.page(query.after, query.limit)
      const last = page.length === query.limit ? page.at(-1) : undefined
      return {
        nodes: page.map(node => ({ ...showNode(node), below: tree.isBelow(node.id) })),
        ...(last === undefined ? {} : { next: last.id })
      }
    }
  )

  app.get(
    '/nodes/:nodeId',
    {
      config,
      schema: {
        tags,
        summary: 'One node, and the certificates known for it',
        params: NodeId,
        response: {
          200: Type.Object({
            ...NodeSchema,
            below: Type.Boolean(),
            relay: Type.Boolean({ description: 'whether other nodes have it as policy server' }),
            certificates: Type.Array(Type.Object({ fingerprint: Type.String(), not_after: Type.Time() }))
          })
        }
      }
    },
    async ({ params }) => {
      checkNodeId(params.nodeId)
      const tree = topology()
      const node = tree.find(params.nodeId)
      if (node === undefined) {
        throw new RelayError('UNKNOWN_NODE', `node ${params.nodeId} is not in the nodes list of ${tree.selfId}`)
      }
      return {
        ...showNode(node),
        below: tree.isBelow(node.id),
        relay: tree.isRelay(node.id),
        certificates: certificates.of(node.id).map(showCertificate)
      }
    }
  )

  app.get(
    '/nodes/:nodeId/route',
    {
      config,
      schema: {
        tags,
        summary: 'Where a request for a node goes from here',
        params: NodeId,
        response: {
          200: Type.Object({ target: Type.String(), route: Type.String(), hop: Type.Optional(Type.String()) })
        }
      }
    },
    async ({ params }) => {
      checkNodeId(params.nodeId)
      const route = topology().route(params.nodeId)
      return { target: params.nodeId, route: route.kind, ...(route.kind === 'down' ? { hop: route.hop } : {}) }
    }
  )
}

function showNode(node: TreeNode) {
  return {
    id: node.id,
    hostname: node.hostname,
    policy_server: node.policyServer,
    ...(node.keyHash === undefined ? {} : { key_hash: node.keyHash })
  }
}

function showCertificate(der: Buffer) {
  return {
    fingerprint: fingerprint(der),
    not_after: isoTime(Date.parse(new X509Certificate(der).validTo))
  }
}
