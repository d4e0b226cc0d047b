import type { IncomingHttpHeaders } from 'node:http'
import { isHopByHop } from '../hops/hop-by-hop-headers.js'

/**
 * The headers that go on to the base URL, or back from it: all but those of one connection. Credentials stay, since
 * they are meant for the server behind the base URL, and repeated headers stay apart (`set-cookie` can't be joined).
 */
export function endToEndHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set(
    String(headers.connection ?? '')
      .split(',')
      .map(name => name.trim().toLowerCase())
  )
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || isHopByHop(name) || named.has(name)) continue
    kept[name] = value
  }
  return kept
}
