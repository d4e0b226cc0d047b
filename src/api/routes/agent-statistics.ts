import { VERSION } from '../../process/version.js'
import type { ClientDirectory } from '../../services/keys/client-directory.js'
import type { ReplicaFacts } from '../../services/keys/replica.js'
import { type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

/** The replicas that are read at a time. */
const PAGE = 1_000

const Endpoint = Type.Object({
  name: Type.String({ description: 'key of the service' }),
  type: Type.Optional(Type.String()),
  configured: Type.Boolean({ description: 'whether it can be reached' }),
  annotations: Type.Optional(Type.Record(Type.String()))
})

const Agent = Type.Object({
  name: Type.String({ description: 'id of the agent, relay or client' }),
  agentId: Type.String({ description: 'the same' }),
  session: Type.String({ description: 'relays between this one and it, and its id' }),
  sessionId: Type.String({ description: 'the same' }),
  connectionType: Type.String({ description: 'direct, or relayed over relays below' }),
  endpoints: Type.Array(Endpoint),
  connectedAt: Type.Integer({ description: 'ms since 1970' })
})

/** `GET /api/v1/getAgentStatistics`, outside the prefixes, with the members of birger's (`internal/fwdapi/cnc.go`). */
export const agentStatisticsRoutes: Routes<{ services: Pick<Services, 'clients'> }> = async (app, { services }) => {
  app.get(
    '/api/v1/getAgentStatistics',
    {
      config: { access: 'administration' },
      schema: {
        tags: ['links'],
        summary: 'Agents and clients that offer services here or below, as birger lists its agents',
        response: {
          200: Type.Object({
            serverTime: Type.Integer({ description: 'ms since 1970' }),
            version: Type.String(),
            connectedAgents: Type.Array(Agent)
          })
        }
      }
    },
    async () => ({ serverTime: Date.now(), version: VERSION, connectedAgents: connectedAgents(services.clients) })
  )
}

/** All replicas, by the process that has them. */
function connectedAgents(clients: ClientDirectory) {
  const agents = new Map<string, ReturnType<typeof showAgent>>()
  for (const replica of allReplicas(clients)) {
    const session = [...replica.path, replica.id].join('/')
    const agent = agents.get(session) ?? showAgent(session, replica)
    agent.endpoints.push(showEndpoint(replica))
    agent.connectedAt = Math.min(agent.connectedAt, replica.connectedAtMs)
    agents.set(session, agent)
  }
  return [...agents.values()]
}

function* allReplicas(clients: ClientDirectory): Generator<ReplicaFacts> {
  let after: string | undefined
  do {
    const page = clients.list(after, PAGE)
    yield* page.clients
    after = page.next
  } while (after !== undefined)
}

function showAgent(session: string, { id, path, connectedAtMs }: ReplicaFacts) {
  const endpoints: ReturnType<typeof showEndpoint>[] = []
  const connectionType = path.length === 0 ? 'direct' : 'relayed'
  return { name: id, agentId: id, session, sessionId: session, connectionType, endpoints, connectedAt: connectedAtMs }
}

function showEndpoint({ key, type, annotations, staleSinceMs }: ReplicaFacts) {
  return {
    name: key,
    ...(type === undefined ? {} : { type }),
    configured: staleSinceMs === undefined,
    ...(annotations === undefined ? {} : { annotations: { ...annotations } })
  }
}
