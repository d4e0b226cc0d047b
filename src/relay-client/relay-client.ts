import { isAbsolute } from 'node:path'
import type { Readable } from 'node:stream'
import { Agent, type buildConnector } from 'undici'
import { API_PREFIX } from '../network/api-prefix.js'
import {
  connectionErrorCode,
  describeConnectionFailure,
  isUntrustedCertificate
} from '../network/connection-failure.js'
import { endAtManyInformational } from '../network/informational-answers.js'
import { membersOf, parseJson } from '../values/text/json.js'
import { printable } from '../values/text/printable.js'
import { readWholeText } from '../values/text/whole-text.js'
import { explainingBody } from './answer-body.js'
import { ClientError, InputError, NotReachedError, RefusedError } from './client-error.js'
import { createServerConnector, type ServerTls } from './relay-tls.js'
import { socketPathOf } from './unix-socket.js'

/** The size of a JSON answer or an error; more is not read. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024
const MAX_ERROR_LENGTH = 2_000
/** A metadata block of 64 KiB comes in base64 with a fetched file. */
const MAX_HEADER_BYTES = 128 * 1024
/** Relays redirect nobody: something else answers so, and not with what was asked for. */
const REDIRECT = 300
/** The status of a request that no relay can grant. */
const BAD_REQUEST = 400
const HINT_OF_TLS = '; if this is a port for TLS, use https://'
/** The limit for the head of an answer, and between two pieces of its body. A run may be silent for longer. */
const PATIENCE_MS = 300_000

export interface ClientRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** The path below the API's prefix, without a slash in front, already encoded: see {@link apiPath}. */
  readonly path: string
  /** The prefix in place of the API's, with a slash at both ends. */
  readonly root?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | string
  readonly signal?: AbortSignal
  /** Waits for the answer and its pieces without end. */
  readonly isPatient?: boolean
}

export interface ClientAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The body. The caller reads it to its end, or destroys it. */
  readonly body: Readable
}

type Connector = buildConnector.connector

/** The options or settings that say which relay is asked, in the caller's words. */
export interface RelayNames {
  readonly server: string
  readonly ca: string
  readonly pin: string
}

/** Speaks to one relay. */
export interface RelayClient {
  /** The relay's URL, for messages. */
  readonly server: string
  /** Gives any answer, errors too. @throws {NotReachedError} when there is none */
  send(request: ClientRequest): Promise<ClientAnswer>
  /** @throws {ClientError} for an answer of 400 or more, with what it says */
  request(request: ClientRequest): Promise<ClientAnswer>
  /** Sends a request and reads JSON. */
  json(request: ClientRequest): Promise<unknown>
  /** Sends a request and reads text. */
  text(request: ClientRequest): Promise<string>
  /** The error for an answer of 300 or more. Reads its body. */
  refusal(answer: ClientAnswer): Promise<RefusedError>
  /** The JSON of an answer. Reads its body. @throws {ClientError} when it is none, or too long */
  readJson(answer: ClientAnswer): Promise<unknown>
  /** The text of an answer. Reads its body. @throws {ClientError} when it is too long */
  readText(answer: ClientAnswer): Promise<string>
  close(): Promise<void>
}

/**
 * @param options.server URL of the relay; a path in it replaces the usual prefix of the API
 * @throws {InputError} when it is no http or https URL, or the TLS options cannot be used
 */
export function createRelayClient(options: {
  readonly server: string
  /** The names for messages. */
  readonly names: RelayNames
  readonly token: string | undefined
  readonly tls: ServerTls
  /** Makes the connections another way. */
  readonly through?: (connect: Connector) => Connector
  /** The headers of each request. */
  readonly headers?: () => Readonly<Record<string, string>>
}): RelayClient {
  const socketPath = socketPathOf(options.server)
  const { names } = options
  if (socketPath !== undefined && !isAbsolute(socketPath)) {
    throw new InputError(`${names.server} ${JSON.stringify(options.server)}: the path of a socket begins with /`)
  }
  const base = readServer(names.server, socketPath === undefined ? options.server : 'http://localhost')
  const shown = socketPath === undefined ? base.origin : socketPath
  const prefix = base.pathname === '/' ? defaultPrefix(base) : `${base.pathname.replace(/\/+$/, '')}/`
  const connect = createServerConnector(options.tls, names.pin, socketPath)
  let hasConnected = false
  const made = options.through?.(connect) ?? connect
  const watched: Connector = (target, callback) =>
    made(target, (...result) => {
      hasConnected ||= result[0] === null
      callback(...result)
    })
  const agent = new Agent({ connect: watched, maxHeaderSize: MAX_HEADER_BYTES })
  const authorization: Record<string, string> =
    options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }

  async function send(request: ClientRequest): Promise<ClientAnswer> {
    const timeout = request.isPatient === true ? 0 : PATIENCE_MS
    try {
      const answer = await agent.request({
        origin: base.origin,
        path: (request.root ?? prefix) + request.path,
        method: request.method,
        // undici refuses a query beside one in the path
        ...(request.query === undefined ? {} : { query: { ...request.query } }),
        headers: { ...authorization, ...options.headers?.(), ...request.headers },
        body: request.body ?? null,
        signal: request.signal ?? null,
        onInfo: endAtManyInformational(),
        headersTimeout: timeout,
        bodyTimeout: timeout
      })
      const body = explainingBody(answer.body, shown, request.signal)
      return { status: answer.statusCode, headers: answer.headers, body }
    } catch (error) {
      throw request.signal?.aborted === true || error instanceof ClientError ? error : notReached(error, request)
    }
  }

  async function request(asked: ClientRequest): Promise<ClientAnswer> {
    const answer = await send(asked)
    if (isRefusal(answer)) throw await refusal(answer, names.server)
    return answer
  }

  async function readJson(answer: ClientAnswer): Promise<unknown> {
    const text = await readText(answer)
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      throw new ClientError(`${base.origin} did not answer with JSON; is it a Treeline relay?`, { cause })
    }
  }

  function notReached(cause: unknown, asked: ClientRequest): NotReachedError {
    const advice = isUntrustedCertificate(cause)
      ? `; name its issuer with ${names.ca}, or itself with ${names.pin}`
      : ''
    const code = connectionErrorCode(cause)
    const isPlain = base.protocol === 'http:' && socketPath === undefined
    const isCut = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET'
    const hint = isPlain && isCut ? HINT_OF_TLS : ''
    if (isCut && hasConnected && isChange(asked)) {
      const what = `the connection to the relay at ${shown} ended before its answer (${code})`
      return new NotReachedError(`${what}: whether this was done is not known; ${howToLook(asked)}${hint}`, { cause })
    }
    const isAway = code === 'ECONNREFUSED' || (code === 'ENOENT' && socketPath !== undefined)
    const why = isAway
      ? 'nothing listens there; is the relay running?'
      : describeConnectionFailure(cause) + (hint || advice)
    return new NotReachedError(`the relay at ${shown} cannot be reached: ${printable(why)}`, { cause })
  }

  return {
    server: shown,
    send,
    request,
    refusal: answer => refusal(answer, names.server),
    readJson,
    readText,
    json: async asked =>
      readJson(await request({ ...asked, headers: { accept: 'application/json', ...asked.headers } })),
    text: async asked => readText(await request(asked)),
    close: () => agent.destroy()
  }
}

/** A path of the API, its parts percent-encoded. */
export function apiPath(...parts: readonly string[]): string {
  return parts.map(encodeURIComponent).join('/')
}

/** Whether the relay may have carried out a request whose answer did not come. */
function isChange({ method }: ClientRequest): boolean {
  return method !== 'GET' && method !== 'HEAD'
}

/** The commands that show the outcome of a change, by the part of the API that it belongs to. */
const COMMANDS_TO_LOOK: ReadonlyMap<string, string> = new Map([
  ['members', 'treeline nodes list'],
  ['tokens', 'treeline token list'],
  ['outbox', 'treeline outbox list'],
  ['remote-run', 'treeline runs list'],
  ['runs', 'treeline runs list'],
  ['links', 'treeline links list'],
  ['clients', 'treeline links list']
])

function howToLook({ path }: ClientRequest): string {
  const command = COMMANDS_TO_LOOK.get(path.replace(/^v1\//, '').split('/')[0] ?? '')
  return command === undefined ? 'look, or ask again' : `look at \`${command}\``
}

export function isRefusal({ status }: ClientAnswer): boolean {
  return status >= REDIRECT
}

async function refusal(answer: ClientAnswer, serverName: string): Promise<RefusedError> {
  const text = (await readText(answer).catch(() => '')).trim().slice(0, MAX_ERROR_LENGTH)
  if (answer.status < BAD_REQUEST) {
    const location = answer.headers.location
    const where = typeof location === 'string' ? ` to ${printable(location)}` : ''
    return new RefusedError(
      `what answered is no relay: a redirect${where} (${answer.status}); check ${serverName}`,
      answer.status
    )
  }
  const why = printable(messageIn(text)) || 'it does not say why'
  return new RefusedError(`the relay refused (${answer.status}): ${why}`, answer.status)
}

/** The API answers with plain text by default. */
function messageIn(text: string): string {
  const { errorDetails, message } = membersOf(parseJson(text)) ?? {}
  if (typeof errorDetails === 'string') return errorDetails
  return typeof message === 'string' ? message : text
}

function readText({ body }: ClientAnswer): Promise<string> {
  const tooLong = () => new ClientError(`the relay's answer has more than ${MAX_TEXT_BYTES} bytes`)
  return readWholeText(body, MAX_TEXT_BYTES, tooLong)
}

function defaultPrefix(base: URL): string {
  return base.protocol === 'https:' ? `${API_PREFIX}/` : `${API_PREFIX}/1/`
}

function readServer(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new InputError(`${name} should be an http or https URL, not ${JSON.stringify(text)}`)
  }
  return url
}
