const LINE_END = 0x0a
const MAX_LINE_BYTES = 8 * 1024

/** The other side opened a stream with something that cannot be read. */
export class BadOpeningError extends Error {
  override name = 'BadOpeningError'
}

/** The facts with which a stream begins: a line of JSON, whose member `kind` says what is wanted, then more bytes. */
export interface Opening {
  readonly facts: Readonly<Record<string, unknown>>
  readonly rest: Buffer
}

export function formatOpening(facts: object, rest: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), rest])
}

/** @throws {BadOpeningError} */
export function parseOpening(payload: Buffer): Opening {
  const end = payload.indexOf(LINE_END)
  if (end === -1 || end > MAX_LINE_BYTES) throw new BadOpeningError('a stream begins with a line of JSON')
  const facts = parseObject(payload.toString('utf8', 0, end))
  return { facts, rest: payload.subarray(end + 1) }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BadOpeningError('the first line of a stream is no JSON', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new BadOpeningError('the first line of a stream is no object')
}
