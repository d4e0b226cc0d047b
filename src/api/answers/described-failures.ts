import type { RelayErrorCode } from '../../values/failures/relay-error.js'
import { STATUS } from './error-handler.js'

/** A route as its description names it: `GET`, `/rudder/relay-api/nodes/{nodeId}`. */
export interface DescribedRoute {
  readonly method: string
  readonly path: string
}

interface Kind {
  /** Matches method and path of its routes: `GET /rudder/relay-api/nodes/{nodeId}`. */
  readonly routes: RegExp
  readonly codes: readonly RelayErrorCode[]
}

/**
 * The failures of each kind of route, for the description of the API. What every route may be answered with comes first:
 * a faulty head, a caller who may not, a neighbour of another version, a relay that has no tree or is stopping.
 */
export const KINDS: readonly Kind[] = [
  {
    routes: /^/,
    codes: [
      'INVALID_INPUT',
      'FORBIDDEN',
      'UNKNOWN_EXPECTATION',
      'TOO_MANY_HEADERS',
      'NO_COMMON_VERSION',
      'NO_TREE',
      'STOPPING',
      'HTTP_VERSION'
    ]
  },
  {
    routes: /^(POST|PUT|DELETE) /,
    codes: ['BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA', 'CLIENT_TOO_SLOW', 'STORAGE_FULL', 'STORAGE_UNUSABLE']
  },
  { routes: /\/remote-run\//, codes: ['CONFLICT', 'HOP_UNREACHABLE', 'LOOP_DETECTED'] },
  { routes: /\/(trace|shared-files)\/\{|\/v1\/(join|revocations\/)/, codes: ['LOOP_DETECTED'] },
  { routes: /^PUT .*\/shared-files\//, codes: ['BAD_SIGNATURE', 'UNKNOWN_SOURCE', 'NOT_RECOGNIZED'] },
  {
    routes: /^GET .*\/shared-files\/\{target\}\/|\/v1\/(join|revocations\/)|\/clients\/\{/,
    codes: ['HOP_UNREACHABLE']
  },
  { routes: /^GET .*\/(shared-files\/\{target\}\/|shared-folder\/)/, codes: ['CONDITION_FAILED', 'NO_SUCH_RANGE'] },
  { routes: /^GET .*\/v1\/tree$|^POST .*\/v1\/(join|tokens)/, codes: ['UNKNOWN_NODE'] },
  {
    routes: /^POST .*\/v1\/(join|tokens)|\/v1\/(members\/|token-keys|signed-tokens|caller-certificates)/,
    codes: ['CONFLICT']
  },
  {
    routes:
      /\/(runs|outbox|links|clients|tokens|token-keys|members|shared-folder|remote-run\/nodes)\/\{|\/nodes\/\{nodeId\}$/,
    codes: ['NOT_FOUND']
  },
  { routes: /\/shared-files\/\{target\}\//, codes: ['NOT_FOUND'] }
]

/** Routes that pass on what the next relay refuses, with its own 4xx: existing relays have others than those of {@link KINDS}. */
export const PASS_REFUSALS_ON = /\/shared-files\/\{target\}\/|\/v1\/(join|revocations\/)/

/** Texts that say what a status means. */
const MEANING: Readonly<Record<number, string>> = {
  400: 'What was sent is not in order',
  403: 'The caller may not, or it is switched off here; the message names the setting',
  404: 'There is no such thing here',
  408: 'The body did not come in time',
  409: 'It contradicts what is there',
  412: 'The file is another one than the condition names',
  413: 'The body is too large',
  415: 'The body is of another type, or has a content coding',
  416: 'The file has no such range',
  417: 'An `Expect` of something other than `100-continue`',
  421: 'The caller is not recognized over this connection, while it may be over another, such as a link',
  431: 'Too many headers',
  500: 'A fault of the relay; its log has the details under the request id',
  501: 'The versions of both relays have none in common',
  502: 'The next hop cannot be reached, or nothing could be started there',
  503: 'Not now: a bound is met, the relay has no tree yet or is stopping, or its disk cannot be used',
  505: 'Another version of HTTP than 1.0 and 1.1',
  507: 'The disk, or the quota, is full',
  508: 'The request came back to a relay that it had passed, or passed too many'
}

/** Lists the statuses of failures that a route may be answered with, and what each means, in the order of their numbers. */
export function failuresOf({ method, path }: DescribedRoute): ReadonlyMap<number, string> {
  const codes = KINDS.filter(({ routes }) => routes.test(`${method} ${path}`)).flatMap(kind => kind.codes)
  const statuses = new Set([...codes.map(code => STATUS[code]), 500])
  return new Map([...statuses].sort((a, b) => a - b).map(status => [status, MEANING[status] ?? '']))
}
