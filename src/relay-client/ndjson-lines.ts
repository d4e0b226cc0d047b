import { ClientError } from './client-error.js'

/** The longest line: longer than any event of a relay. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024

/** The lines of a stream of UTF-8, without their line feeds; empty ones are left out. */
export async function* readLines(body: AsyncIterable<unknown>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(asBytes(chunk), { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE_LENGTH)
      throw new ClientError(`the relay sent a line of over ${MAX_LINE_LENGTH} characters`)
    for (const line of lines) if (line !== '') yield line
  }
  if (rest !== '') yield rest
}

function asBytes(chunk: unknown): Uint8Array {
  return chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk))
}
