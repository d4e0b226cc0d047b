import type { Readable } from 'node:stream'
import { NDJSON } from '../../network/header-names.js'
import { neighbourTurns } from '../../process/pacing/turn-limit.js'
import { isNodeId } from '../../values/ids.js'
import type { BrokenHop } from '../../values/runs/run-event.js'
import { LinePieces } from '../execution/line-pieces.js'

/**
 * The longest line: longer than any event that we write, which is 128 KiB of output, each byte escaped in six
 * characters.
 */
const MAX_EVENT_LINE_BYTES = 2 * 1024 * 1024

const LINE_FEED = 0x0a

/**
 * The chunks of a neighbour's answer. One that is silent for `silenceMs` (0: no limit) is given up; time that the
 * reader takes for itself does not count. The body is destroyed in the end, however that comes.
 * @param check called for each chunk; what it throws ends the reading
 */
export async function* responseChunks(
  body: Readable,
  silenceMs: number,
  signal: AbortSignal,
  check: () => void = () => undefined
): AsyncGenerator<Buffer> {
  let timer: NodeJS.Timeout | undefined
  const watch = () => {
    if (silenceMs === 0) return
    timer = setTimeout(() => body.destroy(new Error(`it was silent for ${silenceMs / 1000} s`)), silenceMs)
  }
  const onAbort = () => body.destroy()
  signal.addEventListener('abort', onAbort)
  try {
    watch()
    for await (const chunk of body) {
      clearTimeout(timer)
      check()
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      if (neighbourTurns.isOver) await neighbourTurns.next()
      watch()
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    body.destroy()
  }
}

/**
 * The whole lines of an NDJSON answer, without line feeds.
 * @throws {Error} for a line that is longer than any event can be
 */
export async function* responseLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const rest = new LinePieces()
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      rest.push(chunk.subarray(start, end))
      yield rest.take().toString('utf8')
      start = end + 1
      if (neighbourTurns.isOver) await neighbourTurns.next()
    }
    rest.push(chunk.subarray(start))
    if (rest.byteLength > MAX_EVENT_LINE_BYTES) throw new Error(`it sent a line of over ${MAX_EVENT_LINE_BYTES} bytes`)
  }
}

/** The first line of a refusal, for a user, at most 500 characters. */
export async function refusalText(body: Readable, signal: AbortSignal): Promise<string> {
  let text = ''
  try {
    for await (const chunk of responseChunks(body, REFUSAL_SILENCE_MS, signal)) {
      text += chunk.toString('utf8')
      if (text.length > MAX_REFUSAL_LENGTH) break
    }
  } catch {
    // what came of it will do
  }
  return text.trim().split('\n', 1)[0]?.slice(0, MAX_REFUSAL_LENGTH) ?? ''
}

const REFUSAL_SILENCE_MS = 5_000
const MAX_REFUSAL_LENGTH = 500

/** Whether an answer is events, one a line. */
export function isNdjson(headers: Readonly<Record<string, string>>): boolean {
  return headers['content-type']?.toLowerCase().startsWith(NDJSON) ?? false
}

/** The broken hop that a relay below reports, if it names ids: it is shown to users. */
export function validBrokenHop(hop: BrokenHop | undefined): BrokenHop | undefined {
  return hop !== undefined && isNodeId(hop.from) && isNodeId(hop.to) ? hop : undefined
}
