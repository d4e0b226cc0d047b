import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Hop, HopOutcome } from '../../hops/hop.js'
import {
  LINK_HEADER,
  PASSED_HEADER,
  RELAY_HEADER,
  REQUEST_ID_HEADER,
  SOURCE_KEY_HASH_HEADER,
  STATE_HEADER
} from '../../network/header-names.js'
import { countStreamed } from '../../process/pacing/buffer-collection.js'
import { formatPassed } from '../../values/passed-relays.js'
import type { PutOutcome } from '../file-types.js'
import type { FileRecord } from '../keeping/file-record.js'
import { acceptanceHeaders } from './acceptance-headers.js'

/** The size of a refusal's body, which is one line for a user. */
const MAX_REFUSAL_BYTES = 2_048

/** "Misdirected Request": what a relay of ours says that cannot know the source, see `notRecognized`. */
const NOT_RECOGNIZED = 421

const READ_BYTES = 128 * 1024

/** A file, and what goes with it to the next relay. */
export interface Shipment {
  readonly record: FileRecord
  /** The bytes, or what opens a file that has them. */
  readonly bytes: Buffer | (() => Promise<FileHandle>)
  /** Relays passed, this one included. */
  readonly passed: readonly string[]
  readonly requestId: string
  /** The key hash of the source, in the form of the nodes list; sent downwards alone. */
  readonly keyHash: string
}

/**
 * - `delivered`: the hop has it, or its outbox
 * - `keep-here`: the hop does not know the source, as it is an existing relay, or one of ours that does not recognize
 *   this one; the file is kept on its behalf
 * - `refused`: it decided against it
 * - `unreachable`: it could not be asked, or could not decide
 */
export type TransferResult =
  | { readonly kind: 'delivered'; readonly outcome: PutOutcome }
  | { readonly kind: 'keep-here' }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'unreachable'; readonly reason: string; readonly status: number | undefined }

export interface TransferOptions {
  readonly nowMs: number
  /** Whether relays below may hold links to this one. */
  readonly takesLinks: boolean
  readonly signal: AbortSignal
}

/** A body up to here is short: it goes over the link itself. */
const SHORT_BODY_BYTES = 64 * 1024

/** Hands a file to a neighbour. Rejects only when `signal` aborts. */
export async function transfer(
  hop: Hop,
  direction: 'up' | 'down',
  shipment: Shipment,
  { nowMs, takesLinks, signal }: TransferOptions
): Promise<TransferResult> {
  const { record } = shipment
  const ttlSeconds = Math.max(1, Math.ceil((record.expiresAtMs - nowMs) / 1_000))
  const outcome = await hop.request({
    method: 'PUT',
    path: `shared-files/${record.target}/${record.source}/${record.fileId}?ttl=${ttlSeconds}`,
    headers: headersOf(shipment, direction, nowMs),
    body: () => bodyOf(shipment),
    weight: record.sizeBytes > SHORT_BODY_BYTES ? 'bulk' : 'short',
    signal
  })
  return readOutcome(hop, direction, takesLinks, outcome)
}

/** The body as it is sent: metadata, an empty line, the file. */
function bodyOf({ record, bytes }: Shipment): Buffer | Readable {
  const head = Buffer.from(`${record.metadata}\n`)
  if (typeof bytes !== 'function') return Buffer.concat([head, bytes])
  return Readable.from(withHead(head, bytes), { objectMode: false, highWaterMark: READ_BYTES })
}

async function* withHead(head: Buffer, open: () => Promise<FileHandle>): AsyncGenerator<Buffer> {
  yield head
  const file = await open()
  for await (const chunk of file.createReadStream({ highWaterMark: READ_BYTES })) {
    countStreamed(chunk.length)
    yield chunk
  }
}

function headersOf(shipment: Shipment, direction: 'up' | 'down', nowMs: number): Record<string, string> {
  const { record } = shipment
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'content-length': String(Buffer.byteLength(record.metadata) + 1 + record.sizeBytes),
    ...acceptanceHeaders(record, nowMs),
    [PASSED_HEADER]: formatPassed(shipment.passed),
    [REQUEST_ID_HEADER]: shipment.requestId
  }
  if (direction === 'down') headers[SOURCE_KEY_HASH_HEADER] = shipment.keyHash
  return headers
}

async function readOutcome(
  hop: Hop,
  direction: 'up' | 'down',
  takesLinks: boolean,
  outcome: HopOutcome
): Promise<TransferResult> {
  if (outcome.kind === 'unreachable') {
    return { kind: 'unreachable', reason: outcome.reason, status: outcome.status }
  }
  const message = await readStart(outcome.body)
  if (outcome.kind === 'answered') {
    const state = outcome.headers[STATE_HEADER]
    return { kind: 'delivered', outcome: state === 'pending' || state === 'superseded' ? state : 'stored' }
  }
  const isFromTreeline = RELAY_HEADER in outcome.headers
  if (outcome.status === NOT_RECOGNIZED && isFromTreeline && direction === 'down') {
    if (!takesLinks || outcome.headers[LINK_HEADER] !== 'expected') return { kind: 'keep-here' }
    const reason = `${hop.id} does not recognize this relay, and its link is away: does a web server end the TLS before it?`
    return { kind: 'unreachable', reason, status: undefined } // all that waits goes when the link opens
  }
  if (outcome.status === 404 && !isFromTreeline) {
    // Such a relay would have said who it is, so this is a proxy in front of one that is stopped.
    if (hop.dialect.keepsFilesForNodesBelow) {
      return { kind: 'unreachable', reason: `${hop.id} answers 404, but not as itself`, status: 404 }
    }
    if (direction === 'down') return { kind: 'keep-here' }
  }
  return { kind: 'refused', status: outcome.status, message: message || `${hop.id} answered ${outcome.status}` }
}

/** Reads a short body, and drops what is beyond. A body that breaks off is as good as it goes. */
export async function readStart(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      chunks.push(Buffer.from(chunk))
      bytes += chunk.length
      if (bytes >= MAX_REFUSAL_BYTES) break
    }
  } catch {
    // what came before is all there is
  }
  const text = Buffer.concat(chunks).toString('utf8', 0, MAX_REFUSAL_BYTES)
  return text.split(/[\r\n]/, 1)[0] ?? ''
}
