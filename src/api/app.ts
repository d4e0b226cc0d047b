import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { storageFolders } from '../config/storage-folders.js'
import { API_PREFIX } from '../network/api-prefix.js'
import { LINK_SECRET_HEADER } from '../network/header-names.js'
import { PROTOCOL_VERSIONS, type VersionRange } from '../values/protocol-version.js'
import { type AfterAnswer, installAfterAnswer } from './answers/ends/after-answer.js'
import { createDraining, type Draining } from './answers/ends/draining.js'
import { installErrorHandler } from './answers/error-handler.js'
import { installHeadBody } from './answers/head-body.js'
import { checkNeedsNoTree } from './answers/no-tree.js'
import { commonOptions } from './app-options.js'
import { installFormRules } from './bodies/form-rules.js'
import { checkAccess } from './callers/access.js'
import { isNeighbour } from './callers/callers.js'
import { createIdentification } from './callers/identification.js'
import { createPlainServer, MAX_HEADER_BYTES } from './http-server-options.js'
import { createRequestObserver } from './metrics/request-metrics.js'
import { checkProtocol } from './requests/protocol-check.js'
import { checkQuery } from './requests/query.js'
import { checkHead } from './requests/request-head.js'
import { createRequestLog } from './requests/request-log.js'
import { decorateRequests, startRequest } from './requests/request-start.js'
import { agentStatisticsRoutes } from './routes/agent-statistics.js'
import { healthRoutes } from './routes/health.js'
import { linkRoutes } from './routes/links.js'
import { callerCertificateRoutes } from './routes/membership/caller-certificates.js'
import { joinRoutes } from './routes/membership/join.js'
import { membershipRoutes } from './routes/membership/members.js'
import { revocationRoutes } from './routes/membership/revocations.js'
import { tokenKeyRoutes } from './routes/membership/token-keys.js'
import { nodeRoutes } from './routes/nodes.js'
import { observationRoutes } from './routes/observation.js'
import { outboxRoutes } from './routes/outbox.js'
import { remoteRunRoutes } from './routes/remote-run.js'
import { runRoutes } from './routes/runs.js'
import { sharedFileRoutes } from './routes/shared-files.js'
import { sharedFolderRoutes } from './routes/shared-folder.js'
import { systemRoutes } from './routes/system.js'
import { treeRoutes } from './routes/tree.js'
import type { Services } from './services.js'

const MAX_FORM_BYTES = 1024 * 1024

export interface AppOptions {
  readonly services: Services
  readonly logger: FastifyBaseLogger
  /** The protocol versions that this relay speaks with its neighbours. @default PROTOCOL_VERSIONS */
  readonly versions?: VersionRange | undefined
  /** Registered before the routes, so that it sees all of them (the OpenAPI description is made so). */
  readonly beforeRoutes?: FastifyPluginAsync
}

/** Builds the relay API. Listens to nothing yet; the caller closes it. */
export async function buildApp({
  services,
  logger,
  versions = PROTOCOL_VERSIONS,
  beforeRoutes
}: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...commonOptions(MAX_FORM_BYTES),
    serverFactory: listener => createPlainServer(services.config().limits, listener),
    clientErrorHandler: () => undefined, // ours is with the server already
    forceCloseConnections: 'idle',
    return503OnClosing: false, // ours says why
    routerOptions: { ignoreDuplicateSlashes: true, maxParamLength: MAX_HEADER_BYTES }
  })
  const draining = createDraining(app)
  const afterAnswer = installAfterAnswer(app, [
    createRequestObserver(services.metrics.requests),
    createRequestLog(logger),
    draining.afterAnswer
  ])
  installHeadBody(app)
  installErrorHandler(app, { logger, afterAnswer, folders: storageFolders(services.config()) })
  installCallers(app, services, versions, draining)
  installFormRules(app, services.config().limits.metadataTimeoutMs, MAX_FORM_BYTES)
  if (beforeRoutes !== undefined) await beforeRoutes(app, {})
  await app.register(relayApi, { prefix: API_PREFIX, services, logger, afterAnswer })
  await app.register(observationRoutes, { services })
  await app.register(healthRoutes, { services })
  await app.register(linkRoutes, { services })
  await app.register(agentStatisticsRoutes, { services })
  return app
}

interface RelayApiOptions {
  readonly services: Services
  readonly logger: FastifyBaseLogger
  readonly afterAnswer: AfterAnswer
}

/** All routes that answer under each of the prefixes of the contract. */
const relayApi: FastifyPluginAsync<RelayApiOptions> = async (app, { services, logger, afterAnswer }) => {
  const withStderr = () => services.config().remoteRun.stderr
  await app.register(remoteRunRoutes, { services, logger, withStderr })
  await app.register(runRoutes, { services })
  await app.register(sharedFileRoutes, { services, afterAnswer })
  await app.register(outboxRoutes, { services })
  await app.register(sharedFolderRoutes, { services })
  await app.register(nodeRoutes, { services })
  await app.register(systemRoutes, { services })
  await app.register(joinRoutes, { services })
  await app.register(membershipRoutes, { services })
  await app.register(tokenKeyRoutes, { services })
  await app.register(callerCertificateRoutes, { services })
  await app.register(treeRoutes, { services })
  await app.register(revocationRoutes, { services })
}

/** Identifies the caller and checks its rights, before anything else of a request is read. */
function installCallers(
  app: FastifyInstance,
  services: Services,
  versions: VersionRange,
  { checkNotStopping }: Draining
): void {
  const { config, topology } = services
  const identify = createIdentification(services)
  decorateRequests(app)
  app.addHook('onRequest', (request, reply, done) => {
    startRequest(request, reply)
    checkNotStopping()
    checkHead(request.raw, request.originalUrl)
    checkQuery(request)
    request.caller = identify(request.raw)
    const isStale = LINK_SECRET_HEADER in request.headers && !isNeighbour(request.caller)
    if (isStale) reply.header(LINK_SECRET_HEADER, 'unknown')
    checkProtocol(request, reply, versions)
    const { access } = request.routeOptions.config
    if (access !== undefined) {
      const hasTree = topology().version > 0
      if (!hasTree) checkNeedsNoTree(request.routeOptions.config, request.caller)
      checkAccess(access, request.caller, config())
    }
    done()
  })
  app.addHook('onRoute', route => {
    if (route.config?.access === undefined) throw new Error(`route ${route.url} does not say who may call it`)
  })
}
