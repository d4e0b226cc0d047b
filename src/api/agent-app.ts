import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { API_PREFIX } from '../network/api-prefix.js'
import { MAX_HEADERS_OFF } from '../network/max-headers.js'
import type { StorageFolder } from '../values/failures/disk-failure.js'
import { RelayError } from '../values/failures/relay-error.js'
import type { NodeState } from '../values/runs/reported-node-state.js'
import { installAfterAnswer } from './answers/ends/after-answer.js'
import { installErrorHandler } from './answers/error-handler.js'
import { commonOptions } from './app-options.js'
import { installFormRules } from './bodies/form-rules.js'
import { checkQuery } from './requests/query.js'
import { createRequestLog } from './requests/request-log.js'
import { decorateRequests, startRequest } from './requests/request-start.js'
import { revocationNoticeRoutes } from './routes/membership/revocations.js'
import { nodeStateRoutes } from './routes/node-state.js'
import { noticeRoutes } from './routes/notice.js'
import { remoteRunRoutes } from './routes/remote-run.js'
import { runRoutes } from './routes/runs.js'
import type { Services } from './services.js'

/** An agent takes short forms alone: whom, and under which conditions. */
const MAX_FORM_BYTES = 64 * 1024
const FORM_LIMIT_MS = 30_000

/** The services that an agent's routes use. */
export interface AgentServices extends Pick<Services, 'remoteRuns' | 'stopping' | 'isFromAbove' | 'revocations'> {
  /** False once the agent is stopping: what runs may end, and nothing new begins. */
  readonly takesOrders: () => boolean
  /** A file for this node has come to its policy server. */
  readonly onFile: (source: string, fileId: string) => void
  readonly state: () => NodeState
}

export interface AgentAppOptions {
  readonly services: AgentServices
  readonly storage: StorageFolder
  readonly logger: FastifyBaseLogger
}

/**
 * Builds the routes that an agent serves over its link: runs of itself, by the same routes as a relay, notices of
 * files, and its state. The agent listens to nothing, and only its policy server asks.
 */
export async function buildAgentApp({ services, storage, logger }: AgentAppOptions): Promise<FastifyInstance> {
  const app = fastify(commonOptions(MAX_FORM_BYTES))
  app.server.maxHeadersCount = MAX_HEADERS_OFF
  const afterAnswer = installAfterAnswer(app, [createRequestLog(logger)])
  installErrorHandler(app, { logger, afterAnswer, folders: [storage] })
  admitPolicyServer(app, services)
  installFormRules(app, FORM_LIMIT_MS, MAX_FORM_BYTES)
  await app.register(agentApi, { prefix: API_PREFIX, services, logger })
  await app.ready()
  return app
}

const agentApi: FastifyPluginAsync<Omit<AgentAppOptions, 'storage'>> = async (app, { services, logger }) => {
  await app.register(remoteRunRoutes, { services, logger, withStderr: () => false })
  await app.register(runRoutes, { services })
  await app.register(noticeRoutes, { services })
  await app.register(nodeStateRoutes, { services })
  await app.register(revocationNoticeRoutes, { services })
}

function admitPolicyServer(app: FastifyInstance, { isFromAbove, takesOrders }: AgentServices): void {
  decorateRequests(app)
  app.addHook('onRequest', (request, reply, done) => {
    startRequest(request, reply)
    if (!isFromAbove(request.raw)) {
      done(new RelayError('FORBIDDEN', 'an agent is asked by its policy server, over its link'))
      return
    }
    checkQuery(request)
    if (request.routeOptions.config.access === 'remote-run' && !takesOrders()) {
      done(new RelayError('STOPPING', 'the agent is stopping; ask again in a minute'))
      return
    }
    request.caller = { kind: 'policy-server', address: '' }
    done()
  })
}
