import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import {
  ACCEPTED_AT_HEADER,
  LINK_HEADER,
  RELAY_HEADER,
  REQUEST_ID_HEADER,
  SOURCE_KEY_HASH_HEADER,
  STATE_HEADER
} from '../../network/header-names.js'
import { VERSION } from '../../process/version.js'
import { statedAcceptance } from '../../shared-files/forwarding/acceptance-headers.js'
import type { ListedKeptFile } from '../../shared-files/keeping/file-record.js'
import { RelayError } from '../../values/failures/relay-error.js'
import { checkFileKey, type FileKey } from '../../values/ids.js'
import { isoTime } from '../../values/time/iso-time.js'
import type { AfterAnswer } from '../answers/ends/after-answer.js'
import { UnreadAnswers } from '../answers/ends/unread-answers.js'
import { sendSharedFile } from '../answers/kept-file-answer.js'
import { checkConditions } from '../answers/listed-conditions.js'
import { checkNotEncoded, sayContinue } from '../bodies/request-body.js'
import { headerText, isKnownRelay, mayBeRelay, originOf } from '../callers/request-origin.js'
import { FILE_ANSWERS, type Routes, Type } from '../schema.js'
import type { Services } from '../services.js'

const PATH = '/shared-files/:target/:source/:fileId'

const Key = Type.Object({
  target: Type.String({ description: 'id of the node that the file is for' }),
  source: Type.String({ description: 'id of the node that sends it' }),
  fileId: Type.String({ description: 'its name: unique between the two' })
})

const ListedFile = Type.Object({
  source: Type.String(),
  file_id: Type.String(),
  size: Type.Integer({ description: 'bytes' }),
  algorithm: Type.String(),
  hash: Type.String(),
  expires_at: Type.Time()
})

/** Request headers that matter to whoever keeps the file. */
const READ_HEADERS = ['range', 'if-match', 'if-none-match', 'if-range'] as const

const tags = ['shared files']

type FileServices = Pick<Services, 'ownLink' | 'sharedFiles' | 'stopping'>

interface HeadRouteOptions {
  readonly services: FileServices
  readonly afterAnswer: AfterAnswer
}

/** `PUT`, `HEAD` and `GET shared-files/<target>/<source>/<file-id>` (contract, "Shared files"). */
export const sharedFileRoutes: Routes<HeadRouteOptions> = async (app, { services, afterAnswer }) => {
  await app.register(headRoute, { services, afterAnswer })
  await app.register(getRoutes, { services })
  await app.register(putRoute, { services })
}

/**
 * The hottest route of all: every agent asks it all day. So its answer, which has no body, is written directly: what
 * Fastify does around an answer costs as much as finding it.
 */
const headRoute: FastifyPluginAsync<HeadRouteOptions> = async (app, { services, afterAnswer }) => {
  const { sharedFiles, stopping } = services
  const config = { access: 'shared-files-write', isHot: true } as const
  const schema = {
    tags,
    summary: 'Whether this very file is there already',
    params: Key,
    querystring: Type.Object({ hash: Type.Optional(Type.String({ description: 'hex' })) }),
    response: {
      200: Type.Null({ description: 'It is, or it is on its way' }),
      404: Type.Null({ description: 'No such file, or another hash' })
    }
  }
  app.head<HeadRequest>(PATH, { config, schema, validatorCompiler: acceptAll }, (request, reply) => {
    const key = readKey(request.params)
    const there = sharedFiles.head(key, readHash(request.query), originOf(request, reply, stopping))
    if (typeof there === 'boolean') return answerHead(request, reply, there)
    return there.then(is => answerHead(request, reply, is))
  })

  function answerHead(request: FastifyRequest<HeadRequest>, reply: FastifyReply, isThere: boolean): void {
    reply.hijack()
    reply.raw.writeHead(isThere ? 200 : 404, [RELAY_HEADER, VERSION, REQUEST_ID_HEADER, request.id])
    reply.raw.end()
    afterAnswer(request, reply)
  }
}

interface HeadRequest {
  readonly Params: FileKey
  readonly Querystring: { readonly hash?: string | readonly string[] }
}

/** The handler checks all there is itself, in less time. */
const acceptAll = () => () => true

function readHash({ hash = '' }: HeadRequest['Querystring']): string {
  if (typeof hash === 'string') return hash
  throw new RelayError('INVALID_INPUT', 'invalid hash: sent more than once')
}

/** A plain object with these members alone, and checked. @throws {RelayError} INVALID_INPUT */
function readKey({ target, source, fileId }: FileKey): FileKey {
  const key = { target, source, fileId }
  checkFileKey(key)
  return key
}

const getRoutes: Routes<{ services: FileServices }> = async (app, { services }) => {
  const { sharedFiles, stopping } = services
  const unread = new UnreadAnswers()
  const config = { access: 'shared-files-read' } as const
  app.get(
    '/shared-files/:target',
    {
      config,
      schema: {
        tags,
        summary: 'What is kept here for a node, from whichever source',
        params: Type.Object({ target: Type.String() }),
        querystring: Type.Object({ file_id: Type.Optional(Type.String()) }),
        response: { 200: Type.Object({ files: Type.Array(ListedFile) }) }
      }
    },
    async (request, reply) => {
      const origin = originOf(request, reply, stopping)
      const files = await sharedFiles.list(request.params.target, request.query.file_id, origin)
      unread.hold(request, reply)
      return { files: files.map(showListed) }
    }
  )
  app.get(
    PATH,
    {
      config,
      schema: {
        tags,
        summary: 'The file itself, for its target',
        params: Key,
        produces: ['application/octet-stream'],
        describedResponse: FILE_ANSWERS
      }
    },
    async (request, reply) => {
      const key = readKey(request.params)
      checkConditions(request.headers)
      const headers: Record<string, string> = {}
      for (const name of READ_HEADERS) {
        const text = headerText(request, name)
        if (text !== undefined) headers[name] = text
      }
      const origin = originOf(request, reply, stopping)
      return sendSharedFile(request, reply, () => sharedFiles.get(key, origin, headers))
    }
  )
}

function showListed({ source, fileId, sizeBytes, algorithm, hash, expiresAtMs }: ListedKeptFile) {
  return { source, file_id: fileId, size: sizeBytes, algorithm, hash, expires_at: isoTime(expiresAtMs) }
}

const putRoute: Routes<{ services: FileServices }> = async (app, { services }) => {
  const { sharedFiles, stopping } = services
  app.removeAllContentTypeParsers() // else form, JSON and text bodies would be read into memory
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', (request, _reply, done) => {
    // Whatever the type is called, the body is a file; Fastify refuses an empty or malformed one.
    delete request.raw.headers['content-type']
    done()
  })
  app.put(
    PATH,
    {
      config: { access: 'shared-files-write' },
      schema: {
        tags,
        summary: 'Hand a signed file to a node',
        description:
          'Body: metadata lines, an empty line, the bytes. Or the metadata as parameters, and the bytes alone.',
        consumes: ['application/octet-stream'],
        describedBody: { type: 'string', format: 'binary' },
        params: Key,
        querystring: Type.Record(Type.String()),
        describedQuerystring: Type.Object({
          ttl: Type.Optional(Type.String({ description: 'how long it is kept: seconds, or such as 1day 2hours' })),
          header: Type.Optional(
            Type.String({ description: 'with it, the metadata fields are in the query, each by its name' })
          )
        }),
        produces: ['text/plain'],
        response: {
          200: Type.String({
            description: 'Stored; or, with `treeline-state: superseded`, not kept, since a newer one is there'
          }),
          202: Type.String({ description: 'Kept in the outbox until the next hop can be reached' })
        }
      }
    },
    async (request, reply) => {
      const key = readKey(request.params)
      const put = putRequestOf(request, reply, key, request.query, stopping)
      if (put.isVouchedByStranger && services.ownLink() !== undefined) reply.header(LINK_HEADER, 'expected')
      const outcome = await sharedFiles.put(put)
      if (outcome === 'stored') return reply.code(200).send('')
      if (outcome === 'superseded') return reply.code(200).header(STATE_HEADER, outcome).send('')
      return reply.code(202).header(STATE_HEADER, 'pending').send('')
    }
  )
}

function putRequestOf(
  request: FastifyRequest,
  reply: FastifyReply,
  key: FileKey,
  query: Readonly<Record<string, string | undefined>>,
  stopping: AbortSignal
) {
  checkNotEncoded(request.raw)
  const origin = originOf(request, reply, stopping)
  const length = headerText(request, 'content-length')
  return {
    key,
    query: Object.fromEntries(
      Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
    ),
    contentLength: length === undefined ? undefined : Number(length),
    isPassedOn: request.headers[ACCEPTED_AT_HEADER] !== undefined,
    body: request.raw,
    origin,
    sourceKeyHash: request.caller.kind === 'policy-server' ? headerText(request, SOURCE_KEY_HASH_HEADER) : undefined,
    isVouchedByStranger: mayBeRelay(request.caller) && request.headers[SOURCE_KEY_HASH_HEADER] !== undefined,
    stated: isKnownRelay(request.caller)
      ? statedAcceptance(name => headerText(request, name), request.caller)
      : undefined,
    onContinue: () => sayContinue(request.raw, reply.raw)
  }
}
