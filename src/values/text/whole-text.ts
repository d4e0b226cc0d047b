/**
 * Reads a stream of UTF-8 to its end.
 * @param tooLong the error for more than `maxBytes`, of which nothing more is read
 */
export async function readWholeText(
  stream: AsyncIterable<Buffer | string>,
  maxBytes: number,
  tooLong: () => Error
): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    const part = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    bytes += part.length
    if (bytes > maxBytes) throw tooLong()
    chunks.push(part)
  }
  return Buffer.concat(chunks).toString('utf8')
}
