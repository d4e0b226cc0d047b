import type { Readable } from 'node:stream'

/**
 * The bytes that `body` gives until it ends, breaks, exceeds `maxBytes` or takes longer than `limitMs`; never
 * rejects. The body is destroyed unless it came to its end.
 */
export async function readPrefix(body: Readable, maxBytes: number, limitMs: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => body.destroy(), limitMs)
  try {
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) continue
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= maxBytes) break
    }
  } catch {
    // It broke: what came until then has to do.
  } finally {
    clearTimeout(timer)
    if (!body.readableEnded) body.destroy()
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}
