/** The beginning of a stream: a line of JSON that says what is wanted, and the bytes behind it. */
export interface Opening {
  readonly line: OpenLine
  readonly rest: Buffer
}

export interface OpenLine {
  /** Chooses who takes the stream, such as `http`. */
  readonly kind: string
  /** The members that this kind of stream has. They come from another process: check each. */
  readonly [member: string]: unknown
}

/** The beginning of a stream is no such line. */
export class BadOpeningError extends Error {
  override name = 'BadOpeningError'
}

export const MAX_OPEN_LINE_BYTES = 8 * 1024
const LINE_FEED = 10
const NOTHING = Buffer.alloc(0)

/** @throws {BadOpeningError} */
export function parseOpening(payload: Buffer): Opening {
  const end = payload.indexOf(LINE_FEED)
  if (end < 0 || end > MAX_OPEN_LINE_BYTES) {
    throw new BadOpeningError(`its first line has no end within ${MAX_OPEN_LINE_BYTES} bytes`)
  }
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8', 0, end))
  } catch {
    throw new BadOpeningError('its first line is not JSON')
  }
  if (!isOpenLine(value)) throw new BadOpeningError('its first line is no object with a kind')
  return { line: value, rest: payload.subarray(end + 1) }
}

export function formatOpening(line: OpenLine, rest: Buffer = NOTHING): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), rest])
}

function isOpenLine(value: unknown): value is OpenLine {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'
}
