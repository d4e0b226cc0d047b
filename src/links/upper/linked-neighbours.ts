import { Readable } from 'node:stream'
import { TREELINE } from '../../hops/dialect.js'
import { createDirectHop, type HopObserver } from '../../hops/direct-hop.js'
import type { Hop, HopOutcome, HopRequest, LinkedNeighbours } from '../../hops/hop.js'
import { relayableRequestHeaders } from '../../hops/hop-by-hop-headers.js'
import { type KnownPeer, outcomeOfResponse } from '../../hops/hop-response.js'
import { API_PREFIX } from '../../network/api-prefix.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { LANE_WAIT_MS } from '../wire/protocol.js'
import type { LinkRegistry } from './link-registry.js'
import { LinkRequestError } from './link-request-error.js'
import type { UpperLink } from './upper-link.js'

const DEFAULT_SILENCE_LIMIT_MS = 60_000
/** The knowledge of a neighbour that holds a link: it is Treeline. */
const LINK_HOLDER: KnownPeer = {
  isTreeline: () => true,
  onTreeline: () => undefined,
  onStranger: () => undefined,
  onDoubt: () => undefined
}

/** The neighbours that hold links, as hops. */
export function createLinkedNeighbours(
  registry: LinkRegistry,
  silenceLimitMs: () => number,
  observer?: HopObserver
): LinkedNeighbours {
  const hops = new WeakMap<UpperLink, Hop>()
  return {
    onOpen(listener) {
      registry.onChange((event, link) => {
        if (event === 'opened' && link.owner.kind !== 'client') listener(link.owner.id)
      })
    },
    find(id) {
      const link = registry.ofNode(id)
      if (link === undefined) return undefined
      let hop = hops.get(link)
      if (hop === undefined) {
        hop = createLinkHop(link, silenceLimitMs, observer)
        hops.set(link, hop)
      }
      return hop
    }
  }
}

function createLinkHop(link: UpperLink, silenceLimitMs: () => number, observer: HopObserver | undefined): Hop {
  const { id, kind } = link.owner
  const series = kind === 'node' ? '(nodes)' : id // a series for each of 10,000 nodes would be none the wiser
  const address = `the link of ${id}`
  const overLane = createDirectHop({
    id,
    connection: async () =>
      link.isOpen ? { pool: await link.bulk(), address } : { unreachable: `${address} is closed` },
    startLimitMs: 2 * LANE_WAIT_MS,
    silenceLimitMs: silenceLimitMs(),
    authorization: undefined,
    ...LINK_HOLDER,
    observer,
    versions: undefined
  })

  async function overLink(request: HopRequest): Promise<HopOutcome> {
    const begunAt = performance.now()
    const outcome = await askOverLink(link, address, request, silenceLimitMs())
    observer?.(series, outcome.kind, performance.now() - begunAt)
    return outcome
  }

  return {
    id,
    dialect: TREELINE,
    async request(request) {
      if (request.weight !== 'bulk') return overLink(request)
      const outcome = await overLane.request(request)
      const wasNotAsked = outcome.kind === 'unreachable' && !outcome.sent && outcome.status === undefined
      return wasNotAsked && link.isOpen ? overLink(request) : outcome
    }
  }
}

async function askOverLink(
  link: UpperLink,
  address: string,
  request: HopRequest,
  defaultSilenceMs: number
): Promise<HopOutcome> {
  const body = request.body?.()
  try {
    const answer = await link.request({
      method: request.method,
      path: `${API_PREFIX}/${request.path}`,
      headers: headersOf(request, body),
      body,
      silenceLimitMs: request.silenceLimitMs ?? (defaultSilenceMs || DEFAULT_SILENCE_LIMIT_MS),
      signal: request.signal
    })
    const isSent = !(body instanceof Readable) || body.readableEnded
    return await outcomeOfResponse(LINK_HOLDER, address, answer, isSent)
  } catch (error) {
    if (body instanceof Readable) body.destroy()
    request.signal?.throwIfAborted()
    const sent = !(error instanceof LinkRequestError) || error.sent
    return {
      kind: 'unreachable',
      reason: `${address}: ${errorMessage(error)}`,
      sent
    }
  }
}

/** A body without these two is not seen by the other side (HTTP/2 has no chunked encoding to tell of it). */
function headersOf({ headers }: HopRequest, body: Readable | Buffer | undefined): Record<string, string> {
  const sent = relayableRequestHeaders(headers)
  if (body === undefined) {
    delete sent['content-length']
    return sent
  }
  sent['content-type'] ??= 'application/octet-stream'
  if (Buffer.isBuffer(body)) sent['content-length'] = String(body.length)
  return sent
}
