import type { LinkView } from '../../links/upper/link-administration.js'
import type { ReplicaFacts } from '../../services/keys/replica.js'
import { checkNodeId } from '../../values/ids.js'
import { isoTime } from '../../values/time/iso-time.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const MAX_PAGE = 1_000

const ClientSchema = Type.Object({
  client_key: Type.String(),
  client_id: Type.String({ description: 'tells replicas under one key apart' }),
  remote_address: Type.String(),
  connected_at: Type.Time(),
  path: Type.Array(Type.String({ description: 'relays between this one and the client' })),
  type: Type.Optional(Type.String({ description: 'of the service' })),
  annotations: Type.Optional(Type.Record(Type.String())),
  stale_since: Type.Optional(
    Type.Time({ description: 'since when a link on the path is away: the client cannot be reached' })
  )
})
const Clients = Type.Object({ result: Type.Array(ClientSchema) })

const LinkSchema = Type.Object({
  link: Type.String({ description: 'of the link itself: a new one has another' }),
  kind: Type.String({ description: 'relay, node or client' }),
  id: Type.String({ description: 'node id, or client key' }),
  client_id: Type.Optional(Type.String()),
  remote_address: Type.String(),
  connected_at: Type.Time(),
  rtt_ms: Type.Optional(Type.Integer({ description: 'of the last ping, rounded up' })),
  streams: Type.Integer({ description: 'requests under way' }),
  lanes: Type.Integer({ description: 'further connections: for bulk, and one for services' }),
  received: Type.Integer({ description: 'bytes' }),
  sent: Type.Integer({ description: 'bytes' }),
  program: Type.String({ description: 'version of the program at the other end' }),
  version: Type.Integer({ description: 'of what is said over the link' })
})

/** `GET` and `DELETE /v1/relay/clients…` and `/v1/relay/links…`, outside the prefixes. */
export const linkRoutes: Routes<{ services: Pick<Services, 'links' | 'clients'> }> = async (app, { services }) => {
  const { links, clients } = services
  const config = { access: 'administration' } as const
  const tags = ['links']

  app.get(
    '/v1/relay/clients',
    {
      config,
      schema: {
        tags,
        summary: 'Clients that are registered here, or at a relay below',
        querystring: Type.Object({
          limit: Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: MAX_PAGE }),
          after: Type.Optional(Type.String({ description: '`next` of the page before' }))
        }),
        response: { 200: Type.Object({ result: Type.Array(ClientSchema), next: Type.Optional(Type.String()) }) }
      }
    },
    async ({ query }) => {
      const { clients: page, next } = clients.list(query.after, query.limit)
      return { result: page.map(showClient), ...(next === undefined ? {} : { next }) }
    }
  )
  app.delete(
    '/v1/relay/clients/:name',
    {
      config,
      schema: {
        tags,
        summary: 'Remove the clients under a key, or one of them',
        description:
          'The name is a client key, or the id of one client. Relays below remove theirs. Whoever is removed registers again.',
        params: Type.Object({ name: Type.String() }),
        querystring: Type.Object({ id: Type.Optional(Type.String({ description: 'client id, to remove only that' })) }),
        response: { 200: Clients }
      }
    },
    async ({ params, query }) => ({ result: (await clients.remove(params.name, query.id)).map(showClient) })
  )

  app.get(
    '/v1/relay/links',
    {
      config,
      schema: {
        tags,
        summary: 'Links that stand, the oldest first',
        querystring: Type.Object({
          limit: Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: MAX_PAGE }),
          after: Type.Optional(Type.String({ description: 'the last link of the page before' }))
        }),
        response: { 200: Type.Object({ result: Type.Array(LinkSchema), next: Type.Optional(Type.String()) }) }
      }
    },
    async ({ query }) => {
      const page = links.list(query.after, query.limit)
      const last = page.length === query.limit ? page.at(-1) : undefined
      return { result: page.map(showLink), ...(last === undefined ? {} : { next: last.linkId }) }
    }
  )
  app.delete(
    '/v1/relay/links/:nodeId',
    {
      config,
      schema: {
        tags,
        summary: 'Close the link of a relay or node; it opens a new one',
        params: Type.Object({ nodeId: Type.String() }),
        response: { 200: Type.Object({ result: Type.Array(LinkSchema) }) }
      }
    },
    async ({ params }) => {
      checkNodeId(params.nodeId)
      return { result: [showLink(links.closeLinkOf(params.nodeId))] }
    }
  )
}

function showClient({ key, id, remoteAddress, connectedAtMs, path, type, annotations, staleSinceMs }: ReplicaFacts) {
  return {
    client_key: key,
    client_id: id,
    remote_address: remoteAddress,
    connected_at: isoTime(connectedAtMs),
    path: [...path],
    ...(type === undefined ? {} : { type }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
    ...(staleSinceMs === undefined ? {} : { stale_since: isoTime(staleSinceMs) })
  }
}

function showLink(link: LinkView) {
  const { owner } = link
  return {
    link: link.linkId,
    kind: owner.kind,
    id: owner.id,
    ...(owner.kind === 'client' ? { client_id: owner.clientId } : {}),
    remote_address: link.remoteAddress,
    connected_at: isoTime(link.connectedAtMs),
    ...(link.rttMs === undefined ? {} : { rtt_ms: Math.ceil(link.rttMs) }),
    streams: link.streams,
    lanes: link.lanes,
    received: link.receivedBytes,
    sent: link.sentBytes,
    program: link.program,
    version: link.version
  }
}
